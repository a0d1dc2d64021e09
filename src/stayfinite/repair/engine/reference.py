"""The exact value and gradient of a formula at given operands, and where there is none."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from mpmath import mp

from stayfinite.numerics.dtypes import largest
from stayfinite.repair.engine.complement_forms import without_differences
from stayfinite.repair.engine.evaluate import EXACT, Evaluation
from stayfinite.repair.engine.exact_runs import POLE, ExactRun, common, exact_run, shifted
from stayfinite.repair.engine.problem import FormulaProblem
from stayfinite.repair.formula import LeafRole, Node

DIGITS = (25, 50, 160, 400)  # raised until two evaluations agree
AGREEMENT = 1e-9


class Kind(enum.Enum):
    """What is known of the exact value of one element."""

    PLAIN = "plain"
    LIMIT = "limit"  # the formula has no value there, but a limit
    NO_ROOM = "no room"  # infinite, or beyond the largest number of the dtype
    UNDEFINED = "undefined"


@dataclass(frozen=True)
class Reference:
    """Exact value and gradient, rounded to float64.

    `kinds` holds a `Kind` for each element of the value. `gradients` are those of
    `sum(seed * value)` over the elements of kind PLAIN and LIMIT; an entry is NaN where it does not
    exist or has no room in the dtype. Where only the derivative is infinite (`sqrt` at 0) the
    gradient from that point counts as 0.
    """

    value: np.ndarray
    kinds: np.ndarray
    gradients: Mapping[Node, np.ndarray]
    seed: np.ndarray
    digits: int
    smooth: bool  # nothing on the way was NaN or infinite

    @property
    def known(self) -> np.ndarray:
        """Where the value exists and has room."""
        return np.asarray(_is(self.kinds, Kind.PLAIN) | _is(self.kinds, Kind.LIMIT))

    def has(self, kind: Kind) -> bool:
        """Whether any element is of this kind."""
        return bool(_is(self.kinds, kind).any())


def _is(kinds: np.ndarray, kind: Kind) -> np.ndarray:
    return np.asarray(np.frompyfunc(lambda x: x is kind, 1, 1)(kinds)).astype(bool)


def reference(problem: FormulaProblem) -> Reference:
    """The exact value and gradient of the problem's formula at its operands."""
    return reference_at(problem.root, problem.values, problem.wanted, problem.dtype)


def random_seed(shape: tuple[int, ...]) -> np.ndarray:
    """A fixed vector; a seed of ones would give a softmax the gradient 0 throughout."""
    rng = np.random.default_rng(20)
    return np.asarray(rng.uniform(0.5, 1.5, shape) * rng.choice([-1.0, 1.0], shape))


@np.errstate(all="ignore")
def reference_at(
    root: Node,
    values: Mapping[Node, np.ndarray],
    wanted: tuple[Node, ...],
    dtype: str,
    *,
    limits: bool = True,
    digits: int | None = None,
) -> Reference:
    """The exact value and gradient of `root` at the operands `values`.

    With `digits` that precision is used unchecked. Without `limits`, an entry of a gradient counts
    as unknown where something on its way is not finite.

    Raises:
        BadFormula: the formula cannot be evaluated at these operands.
    """
    root = without_differences(root)
    with mp.workdps(DIGITS[0]):
        shape = np.shape(Evaluation(EXACT, values).value(root))
    seed = random_seed(shape)
    previous: ExactRun | None = None
    for used in DIGITS if digits is None else (digits,):
        with mp.workdps(used):
            run = exact_run(root, values, wanted, seed)
            if previous is not None and _agree(previous, run):
                break
            previous = run
    smooth = run.smooth
    with mp.workdps(used if smooth else max(used, 160)):
        kinds = np.full(shape, Kind.PLAIN, object)
        value, gradients = run.value, run.gradients
        if not smooth and limits:
            value, kinds, gradients = _limits(root, values, wanted, seed, run)
        top = largest(dtype)
        kinds[np.abs(value) > top] = Kind.NO_ROOM
        kinds[np.isnan(value)] = Kind.UNDEFINED
        known = _is(kinds, Kind.PLAIN) | _is(kinds, Kind.LIMIT)
        if not smooth and not limits:
            seed = np.where(known, seed, 0.0)
            found = exact_run(root, values, wanted, seed, subgradient=False).gradients
            gradients = {leaf: np.where(np.isfinite(g), g, np.nan) for leaf, g in found.items()}
        elif not known.all():
            seed = np.where(known, seed, 0.0)
            run = exact_run(root, values, wanted, seed)
            gradients = run.gradients
            if not run.smooth and known.any():
                gradients = _limits(root, values, wanted, seed, run)[2]
        gradients = {leaf: np.where(np.abs(g) > top, np.nan, g) for leaf, g in gradients.items()}
    return Reference(np.asarray(value), np.asarray(kinds), gradients, seed, used, smooth)


def moved_by_rounding(
    problem: FormulaProblem, values: Mapping[Node, np.ndarray], at: Reference, spacing: float
) -> ExactRun:
    """How far value and gradient move where each operand is another number of the same rounding."""
    root = without_differences(problem.root)
    rng = np.random.default_rng(11)
    value = np.zeros(np.shape(at.value))
    gradients = {leaf: np.zeros(np.shape(g)) for leaf, g in at.gradients.items()}
    with mp.workdps(at.digits):
        for _ in range(2):
            moved: dict[Node, np.ndarray] = dict(values)
            for leaf, x in values.items():
                if leaf.attribute("role") in (LeafRole.VARIABLE, LeafRole.DATA):
                    side = rng.choice([-0.5, 0.5], np.shape(x)) * spacing
                    moved[leaf] = np.asarray(np.asarray(x, np.float64) * (1.0 + side))
            run = exact_run(root, moved, problem.wanted, at.seed)
            value = np.fmax(value, np.abs(run.value - at.value))
            for leaf, gradient in run.gradients.items():
                gradients[leaf] = np.fmax(gradients[leaf], np.abs(gradient - at.gradients[leaf]))
    return ExactRun(2 * value, {leaf: 2 * g for leaf, g in gradients.items()}, True)


def _agree(a: ExactRun, b: ExactRun) -> bool:
    pairs = [(a.value, b.value), *((a.gradients[leaf], b.gradients[leaf]) for leaf in a.gradients)]
    return all(np.allclose(x, y, rtol=AGREEMENT, atol=0, equal_nan=True) for x, y in pairs)


def _limits(
    root: Node,
    values: Mapping[Node, np.ndarray],
    wanted: tuple[Node, ...],
    seed: np.ndarray,
    at: ExactRun,
) -> tuple[np.ndarray, np.ndarray, dict[Node, np.ndarray]]:
    """Value, kinds and gradients from points around the one where something is not finite."""
    runs = [exact_run(root, moved, wanted, seed, subgradient=False) for moved in shifted(values)]
    around = np.stack([run.value for run in runs])
    limit, agree = common(around)
    was_finite = np.isfinite(at.value)
    value = np.where(agree & ~was_finite, limit, at.value)
    kinds = np.full(np.shape(value), Kind.PLAIN, object)
    kinds[agree & ~was_finite] = Kind.LIMIT
    # A pole is infinite from all sides that exist, with one sign; otherwise there is no value.
    far = np.abs(np.where(np.isnan(around), np.inf, around)) > POLE
    signs = np.where(np.isnan(around), np.nan, np.sign(around))
    one_sign = np.nanmin(np.nan_to_num(signs, nan=2), 0) == np.nanmax(
        np.nan_to_num(signs, nan=-2), 0
    )
    pole = ~was_finite & ~agree & far.all(axis=0) & ~np.isnan(around).all(axis=0)
    sign = np.sign(np.nansum(signs, axis=0))
    infinite = np.where(sign > 0, np.inf, -np.inf)
    value = np.where(pole & one_sign, infinite, np.where(pole & ~one_sign, np.nan, value))
    gradients: dict[Node, np.ndarray] = {}
    for leaf in wanted:
        limit, agree = common(np.stack([run.gradients[leaf] for run in runs]))
        gradients[leaf] = np.where(agree, limit, at.gradients[leaf])
    return value, kinds, gradients
