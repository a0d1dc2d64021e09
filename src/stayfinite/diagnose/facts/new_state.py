"""Facts of a new state that is non-finite, though loss and gradients are finite."""

from __future__ import annotations

from dataclasses import dataclass

from stayfinite.diagnose.facts.expressions import ExpressionFacts
from stayfinite.diagnose.facts.kind import Kind


@dataclass(frozen=True)
class Reason:
    """Why the expression at the root failed: the op and its facts."""

    function: str
    facts: ExpressionFacts


@dataclass(frozen=True)
class BadNewStatistic:
    """The step made a moving statistic, `name` if it is known, non-finite."""

    name: str | None
    kind: Kind
    num_bad: int
    size: int
    reason: Reason | None = None


@dataclass(frozen=True)
class HostNumber:
    """A scalar of the update, made by `function`, reached the failing op through the host."""

    kind: Kind
    function: str


@dataclass(frozen=True)
class GivenGradient:
    """The gradient of `name` was non-finite when it was given to the optimizer.

    No operation of the step computed it: a program may compute gradients in NumPy.
    """

    name: str
    kind: Kind


@dataclass(frozen=True)
class BadSetting:
    """The setting `name` of the optimizer is not finite."""

    name: str
    kind: Kind


@dataclass(frozen=True)
class BadNewWeights:
    """The update made `names` non-finite, at `function`.

    Its gradients were finite, or given to the optimizer as they were.
    """

    names: tuple[str, ...]
    kind: Kind
    function: str
    num_bad: int
    size: int
    reason: Reason | HostNumber | GivenGradient | BadSetting | None = None
