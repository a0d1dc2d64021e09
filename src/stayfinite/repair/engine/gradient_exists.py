"""Whether a formula has a gradient at its operands, and how it is without one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from mpmath import mp

from stayfinite.repair.engine.complement_forms import without_differences
from stayfinite.repair.engine.exact_runs import SHIFT, ExactRun, common, exact_run, shifted
from stayfinite.repair.engine.problem import FormulaProblem
from stayfinite.repair.engine.reference import DIGITS, reference
from stayfinite.repair.formula import Node

GROWTH, SMALL = 1.05, 1e-9  # a gradient that grows slower towards a point has a bound there


def has_gradient(problem: FormulaProblem) -> bool:
    """Whether the gradient of the formula exists at the operands, by itself or as a limit.

    Raises:
        BadFormula: the formula cannot be evaluated at these operands.
    """
    at = reference(problem)
    if at.smooth:
        return True
    root = without_differences(problem.root)
    with mp.workdps(at.digits):
        runs = [
            exact_run(root, moved, problem.wanted, at.seed, subgradient=False)
            for moved in shifted(problem.values)
        ]
    return all(
        bool(common(np.stack([run.gradients[leaf] for run in runs]))[1].all())
        for leaf in problem.wanted
    )


def divergent(problem: FormulaProblem) -> frozenset[Node]:
    """The leaves with a gradient that grows without bound close to the operands.

    The gradient of a norm has no limit at 0, but a bound.

    Raises:
        BadFormula: the formula cannot be evaluated at these operands.
    """
    near, nearer = _close(problem)
    return frozenset(leaf for leaf in problem.wanted if bool(_grows(near, nearer, leaf).any()))


def is_cusp(problem: FormulaProblem) -> bool:
    """Whether the gradients that grow without bound close to the operands do so with both signs.

    So does that of `sqrt(abs(w))` at 0: it has no gradient there, and 0 is a subgradient, as at a
    corner. That of `sqrt(w)` is infinite.

    Raises:
        BadFormula: the formula cannot be evaluated at these operands.
    """
    near, nearer = _close(problem)
    found = [leaf for leaf in problem.wanted if bool(_grows(near, nearer, leaf).any())]
    return bool(found) and all(_has_both_signs(near, nearer, leaf) for leaf in found)


def _close(problem: FormulaProblem) -> tuple[list[ExactRun], list[ExactRun]]:
    """Runs close to the operands and closer; none where the formula is smooth there."""
    at = reference(problem)
    if at.smooth:
        return [], []
    root = without_differences(problem.root)
    with mp.workdps(max(at.digits, DIGITS[2])):
        near, nearer = (
            [
                exact_run(root, moved, problem.wanted, at.seed, subgradient=False)
                for moved in shifted(problem.values, distance)
            ]
            for distance in (SHIFT, SHIFT**2)
        )
    return near, nearer


def _grows(near: Sequence[ExactRun], nearer: Sequence[ExactRun], leaf: Node) -> np.ndarray:
    """The elements whose gradient is larger closer to the operands."""
    if not near:
        return np.zeros(0, bool)
    return np.asarray(_size(nearer, leaf) > GROWTH * _size(near, leaf) + SMALL)


def _has_both_signs(near: Sequence[ExactRun], nearer: Sequence[ExactRun], leaf: Node) -> bool:
    grows = _grows(near, nearer, leaf)
    found = np.stack([run.gradients[leaf] for run in nearer])
    large = np.isfinite(found) & (np.abs(found) > SMALL + _size(near, leaf))
    one, other = (np.any(large & side, axis=0) for side in (found > 0, found < 0))
    return bool((one & other)[grows].all())


def _size(runs: Sequence[ExactRun], leaf: Node) -> np.ndarray:
    """The largest gradient of several runs, each element by itself, without those of no value."""
    found = np.abs(np.stack([run.gradients[leaf] for run in runs]))
    return np.asarray(np.where(np.isfinite(found), found, 0.0).max(axis=0))
