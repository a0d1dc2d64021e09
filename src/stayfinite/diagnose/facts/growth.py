"""Facts of values that grew: over steps, over layers, or in a loop."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class JumpedWeight:
    """`num_jumped` of `size` elements of a weight were changed by no update of the optimizer.

    The largest is `now` and was `before`, `num_steps` steps before. All other elements of the
    weights are at most `others`, and have not grown. Where the element is `tried`, a size that
    growth over steps would have passed, an update makes it `updated` at most.
    """

    before: float
    now: float
    others: float
    num_steps: int
    num_jumped: int
    size: int
    tried: float
    updated: float


@dataclass(frozen=True)
class ChangedOutside:
    """`num_changed` of `size` elements of an array of the state were changed between two steps.

    The steps since `first`, made again from the state before them, do not make the change: they
    give `before` where the largest of the elements was changed to `now`. `step` is the step before
    which it was changed; None where that is not known.
    """

    before: float
    now: float
    num_changed: int
    size: int
    step: int | None
    first: int


@dataclass(frozen=True)
class MomentOfNoStep:
    """`num_beyond` of `size` elements of a first moment are of a size that no gradients give them.

    The largest is `now`. With the second moment `beside` it, gradients give it at most `limit`.
    """

    now: float
    limit: float
    beside: str
    num_beyond: int
    size: int


@dataclass(frozen=True)
class SlotOfNoStep(MomentOfNoStep):
    """Elements of a variable of an optimizer are of a size that no gradients give them.

    Updates of the weight `beside` it, from its size of `num_steps` steps before up to that of now,
    give it at most `limit`. That is infinite where `now` is not finite: no gradient that was
    applied has been.
    """

    num_steps: int


@dataclass(frozen=True)
class GrowthOverSteps:
    """`weight`, or the values at the failing op if None, grew over `num_steps` steps.

    `operand` is the largest operand of the failing op now, and `operand_before` with the earlier
    weights, on the same batch. `factor` is the growth of one step.
    """

    weight: str | None
    before: float
    now: float
    num_steps: int
    factor: float
    operand: float
    operand_before: float
    dtype: str


@dataclass(frozen=True)
class GrowthOverLayers:
    """Values grew from those of the input over `num_products` products with weights."""

    came_in: float
    largest: float
    num_products: int
    operand: float
    dtype: str


@dataclass(frozen=True)
class GrowthInLoop:
    """A loop that is one op left the range from ordinary operands."""
