"""The facts of a finding: one class for each kind, with numbers, names and enumerations.

Nothing here is a sentence; `report.wording` writes them. Magnitudes and counts are those of the
failing step. `num_bad` of `size` elements are at fault.
"""

from stayfinite.diagnose.facts.expressions import ExpressionFacts
from stayfinite.diagnose.facts.growth import (
    ChangedOutside,
    GrowthInLoop,
    GrowthOverLayers,
    GrowthOverSteps,
    JumpedWeight,
    MomentOfNoStep,
    SlotOfNoStep,
)
from stayfinite.diagnose.facts.inputs import (
    BadValues,
    ImpossibleStatistic,
    MissingClass,
    MissingIndex,
    MissingValueCode,
    NonFiniteArray,
    NonFiniteConstant,
    NonFiniteRows,
    TargetTooLong,
)
from stayfinite.diagnose.facts.new_state import BadNewStatistic, BadNewWeights
from stayfinite.diagnose.facts.unexplained import UnexplainedInput, UnexplainedOp

Facts = (
    ExpressionFacts
    | NonFiniteArray
    | NonFiniteConstant
    | NonFiniteRows
    | ImpossibleStatistic
    | BadValues
    | MissingIndex
    | MissingValueCode
    | MissingClass
    | TargetTooLong
    | JumpedWeight
    | ChangedOutside
    | MomentOfNoStep
    | SlotOfNoStep
    | GrowthOverSteps
    | GrowthOverLayers
    | GrowthInLoop
    | BadNewStatistic
    | BadNewWeights
    | UnexplainedOp
    | UnexplainedInput
)
