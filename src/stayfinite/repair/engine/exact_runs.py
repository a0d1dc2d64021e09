"""A formula evaluated exactly at its operands, and at points close to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from mpmath import mpf

from stayfinite.numerics.exact import Array
from stayfinite.repair.engine import structure
from stayfinite.repair.engine.evaluate import EXACT, Evaluation, exact_array, to_float64
from stayfinite.repair.formula import LeafRole, Node, walk

SHIFT = mpf(10) ** -25
DIRECTIONS = 8
POLE = 1e18  # a shifted value above this is on its way to infinity


@dataclass(frozen=True)
class ExactRun:
    """One exact evaluation, or the difference of two."""

    value: np.ndarray
    gradients: dict[Node, np.ndarray]
    smooth: bool  # nothing on the way was NaN or infinite


def exact_run(
    root: Node,
    values: Mapping[Node, np.ndarray],
    wanted: tuple[Node, ...],
    seed: np.ndarray,
    *,
    subgradient: bool = True,
) -> ExactRun:
    """Value of `root` and gradients of `sum(seed * value)`, in the working precision of mpmath.

    With `subgradient`, the infinite derivative of a function at its pole counts as 0.

    Raises:
        BadFormula: the formula cannot be evaluated at these operands.
    """
    evaluation = Evaluation(EXACT, values)
    value = evaluation.value(root)
    smooth = all(
        structure.finite(evaluation.known[n]).all() for n in walk(root) if n.op != "constant"
    )
    found, replaced = evaluation.gradients_and_poles(root, exact_array(seed), wanted, subgradient)
    gradients = {leaf: to_float64(g) for leaf, g in found.items()}
    smooth = smooth and not replaced and all(np.isfinite(g).all() for g in gradients.values())
    return ExactRun(to_float64(value), gradients, smooth)


def shifted(
    values: Mapping[Node, np.ndarray], distance: mpf = SHIFT
) -> Iterator[dict[Node, Array]]:
    """The operands moved a little in several directions, as exact numbers."""
    rng = np.random.default_rng(7)
    moved = [
        leaf
        for leaf, value in values.items()
        if leaf.attribute("role") in (LeafRole.VARIABLE, LeafRole.DATA)
        and not _is_mask(leaf, value)
    ]
    for number in range(DIRECTIONS):
        found: dict[Node, Array] = dict(values)
        for leaf in moved:
            x = exact_array(values[leaf])
            if x.dtype != object:
                continue
            size = rng.uniform(0.3, 1.7, np.shape(x))
            # Two directions keep one sign for all, which a formula of positive operands needs.
            sign = (-1.0) ** number if number < 2 else rng.choice([-1.0, 1.0], np.shape(x))
            scale = np.maximum(np.abs(to_float64(x)), 1e-3)
            found[leaf] = np.asarray(x + exact_array(size * sign * scale) * distance, object)
        yield found


def _is_mask(leaf: Node, value: np.ndarray) -> bool:
    """Whether data is zeros and ones: nothing is near them, so a formula has no limit there."""
    array = np.asarray(value)
    both = array.size > 1 and set(np.unique(array).tolist()) == {0.0, 1.0}
    return leaf.attribute("role") is LeafRole.DATA and both


def common(around: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The value on which the finite rows agree, and where at least two do."""
    usable = np.isfinite(around) & (np.abs(around) < POLE)
    count = usable.sum(axis=0)
    middle = np.where(usable, around, 0.0).sum(axis=0) / np.maximum(count, 1)
    scale = np.maximum(np.abs(middle), np.abs(np.where(usable, around, 0.0)).max(axis=0))
    near = np.abs(around - middle) <= 1e-8 * scale + 1e-11
    # What is left of the shifts alone is of either sign: the limit is 0.
    spread = np.abs(np.where(usable, around - middle, 0.0)).max(axis=0)
    middle = np.where(spread > 1e-8 * scale, np.where(scale < 1e-11, 0.0, middle), middle)
    # From a side where the formula has a value it must be this one.
    defined = ~np.isnan(around)
    return middle, (count >= 2) & (near | ~defined).all(axis=0)
