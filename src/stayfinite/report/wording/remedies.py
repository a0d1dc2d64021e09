"""What to do about a finding where no repair of the source was found."""

from __future__ import annotations

from stayfinite.diagnose.facts import expressions, growth, inputs, new_state
from stayfinite.diagnose.finding import CauseName, Finding
from stayfinite.frameworks.subject import HeldArray
from stayfinite.report.wording.findings import setting_of_optimizer
from stayfinite.report.words import sample_list

_ON_GROWTH_OVER_LAYERS = (
    "initialize the weights so that a layer keeps the size of its input (`glorot_uniform`, "
    "`he_normal`, `orthogonal`), or normalize between layers"
)
_ON_GROWTH_OVER_STEPS = (
    "lower the learning rate or scale inputs and targets to about 1, and train again from the "
    "start: the weights of this step had run away before it"
)


def remedy(finding: Finding, num_samples: int | None = None) -> str | None:
    """An imperative sentence; None where only a repair of the source would help.

    Args:
        finding: The cause.
        num_samples: Samples of the batch, if known.
    """
    facts, name, op = finding.facts, finding.tensor, finding.op
    listed = f" ({sample_list(finding.samples, num_samples)})" if finding.samples else ""
    match facts:
        case inputs.NonFiniteArray(num_steps=int()):
            return (
                f"restore `{name}` from a checkpoint; look at what writes to it between two steps"
            )
        case inputs.NonFiniteArray():
            return _on_non_finite_array(finding.cause, name)
        case inputs.NonFiniteConstant(holder=None):
            return f"make the number finite where it is computed, before it is given to `{op}`"
        case inputs.NonFiniteConstant(holder=HeldArray() as holder):
            return f"make `{holder.attribute}` finite where it is computed; it is not trained"
        case inputs.NonFiniteRows():
            return "leave out or repair the bad rows of the array before training"
        case growth.ChangedOutside():
            return (
                f"look at what writes to `{name}` between two steps, and at the memory of the "
                "device"
            )
        case growth.MomentOfNoStep():
            return (
                f"restore `{name}` and the weights from a checkpoint; look at what writes to it "
                "between two steps, and at the memory of the device"
            )
        case growth.JumpedWeight():
            return (
                f"restore `{name}` from a checkpoint; look at what writes to it between two steps, "
                "at the saved file and at the memory of the device"
            )
        case inputs.ImpossibleStatistic():
            return f"load or compute `{name}` anew"
        case inputs.BadValues():
            return f"leave out or repair the bad samples of `{name}`{listed} before training"
        case inputs.MissingIndex(last=last):
            return f"make every value of `{name}` an index from 0 to {last}"
        case inputs.MissingValueCode():
            return f"leave out the samples of `{name}` that have no value{listed} before training"
        case inputs.TargetTooLong():
            return f"leave out the samples whose target is longer than their input{listed}"
        case inputs.MissingClass():
            return f"leave out the samples of `{name}` that have no class{listed} before training"
        case growth.GrowthOverSteps():
            return _ON_GROWTH_OVER_STEPS
        case growth.GrowthOverLayers() | growth.GrowthInLoop():
            return _ON_GROWTH_OVER_LAYERS
        case new_state.BadNewStatistic(statistic) if finding.mechanism is None:
            which = "the moving statistics" if statistic is None else f"`{statistic}`"
            return f"keep {which} within the range of its dtype"
        case new_state.BadNewWeights(reason=new_state.BadSetting(setting)):
            return f"make {setting_of_optimizer(setting)} finite where it is set"
        case new_state.BadNewWeights(reason=new_state.GivenGradient(name)):
            return (
                f"look at the code that computes the gradient of `{name}`: no operation of the "
                "step made it"
            )
        case new_state.BadNewWeights() if finding.mechanism is None:
            return "look at the epsilon, learning rate and clipping of the optimizer"
        case expressions.OutOfRange(float32_holds=True):
            return 'compute this part in float32: cast before it, or give the layer dtype="float32"'
        case _:
            return None


def _on_non_finite_array(cause: CauseName, name: str | None) -> str:
    if cause == "bad-update":
        return f"set `{name}` to a finite value"
    if cause == "bad-statistics":
        return f"load or compute `{name}` with finite values"
    return f"load or initialize `{name}` with finite values"
