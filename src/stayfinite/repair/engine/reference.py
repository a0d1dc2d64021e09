"""The exact value and gradient of a formula at given operands, and where there is none."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from mpmath import mp, mpf

from stayfinite.numerics.dtypes import largest
from stayfinite.numerics.exact import Array
from stayfinite.repair.engine import structure
from stayfinite.repair.engine.complement_forms import without_differences
from stayfinite.repair.engine.evaluate import EXACT, Evaluation, exact_array, to_float64
from stayfinite.repair.engine.problem import FormulaProblem
from stayfinite.repair.formula import LeafRole, Node, walk

DIGITS = (25, 50, 160, 400)  # raised until two evaluations agree
AGREEMENT = 1e-9
SHIFT = mpf(10) ** -25
DIRECTIONS = 8
GROWTH, SMALL = 1.05, 1e-9  # a gradient that grows slower towards a point has a bound there
POLE = 1e18  # a shifted value above this is on its way to infinity


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
            _run(root, moved, problem.wanted, at.seed, subgradient=False)
            for moved in shifted(problem.values)
        ]
    return all(
        bool(_common(np.stack([run.gradients[leaf] for run in runs]))[1].all())
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
                _run(root, moved, problem.wanted, at.seed, subgradient=False)
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


def random_seed(shape: tuple[int, ...]) -> np.ndarray:
    """A fixed vector; a seed of ones would give a softmax the gradient 0 throughout."""
    rng = np.random.default_rng(20)
    return np.asarray(rng.uniform(0.5, 1.5, shape) * rng.choice([-1.0, 1.0], shape))


@dataclass(frozen=True)
class ExactRun:
    """One exact evaluation, or the difference of two."""

    value: np.ndarray
    gradients: dict[Node, np.ndarray]
    smooth: bool  # nothing on the way was NaN or infinite


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
            run = _run(root, values, wanted, seed)
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
            found = _run(root, values, wanted, seed, subgradient=False).gradients
            gradients = {leaf: np.where(np.isfinite(g), g, np.nan) for leaf, g in found.items()}
        elif not known.all():
            seed = np.where(known, seed, 0.0)
            run = _run(root, values, wanted, seed)
            gradients = run.gradients
            if not run.smooth and known.any():
                gradients = _limits(root, values, wanted, seed, run)[2]
        gradients = {leaf: np.where(np.abs(g) > top, np.nan, g) for leaf, g in gradients.items()}
    return Reference(np.asarray(value), np.asarray(kinds), gradients, seed, used, smooth)


def _run(
    root: Node,
    values: Mapping[Node, np.ndarray],
    wanted: tuple[Node, ...],
    seed: np.ndarray,
    *,
    subgradient: bool = True,
) -> ExactRun:
    evaluation = Evaluation(EXACT, values)
    value = evaluation.value(root)
    smooth = all(
        structure.finite(evaluation.known[n]).all() for n in walk(root) if n.op != "constant"
    )
    found, replaced = evaluation.gradients_and_poles(root, exact_array(seed), wanted, subgradient)
    gradients = {leaf: to_float64(g) for leaf, g in found.items()}
    smooth = smooth and not replaced and all(np.isfinite(g).all() for g in gradients.values())
    return ExactRun(to_float64(value), gradients, smooth)


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
            run = _run(root, moved, problem.wanted, at.seed)
            value = np.fmax(value, np.abs(run.value - at.value))
            for leaf, gradient in run.gradients.items():
                gradients[leaf] = np.fmax(gradients[leaf], np.abs(gradient - at.gradients[leaf]))
    return ExactRun(2 * value, {leaf: 2 * g for leaf, g in gradients.items()}, True)


def _agree(a: ExactRun, b: ExactRun) -> bool:
    pairs = [(a.value, b.value), *((a.gradients[leaf], b.gradients[leaf]) for leaf in a.gradients)]
    return all(np.allclose(x, y, rtol=AGREEMENT, atol=0, equal_nan=True) for x, y in pairs)


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


def _limits(
    root: Node,
    values: Mapping[Node, np.ndarray],
    wanted: tuple[Node, ...],
    seed: np.ndarray,
    at: ExactRun,
) -> tuple[np.ndarray, np.ndarray, dict[Node, np.ndarray]]:
    """Value, kinds and gradients from points around the one where something is not finite."""
    runs = [_run(root, moved, wanted, seed, subgradient=False) for moved in shifted(values)]
    around = np.stack([run.value for run in runs])
    limit, agree = _common(around)
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
        limit, agree = _common(np.stack([run.gradients[leaf] for run in runs]))
        gradients[leaf] = np.where(agree, limit, at.gradients[leaf])
    return value, kinds, gradients


def _common(around: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
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
