"""Operands around those at which a formula fails, each set with its exact value and gradient."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from stayfinite.repair.engine.evaluate import FLOATING, BadFormula, Evaluation
from stayfinite.repair.engine.problem import FormulaProblem
from stayfinite.repair.engine.reference import Kind, Reference, reference_at
from stayfinite.repair.formula import LeafRole, Node

DISTURBED = (LeafRole.VARIABLE, LeafRole.DATA)
SMALL = (3e-6, 3e-4, 7e-3)
ELEMENTS = 2000  # of all samples of one kind together; exact arithmetic takes microseconds for each


@dataclass(frozen=True, eq=False)
class Sample:
    """One set of operands. `floating` keeps the values of all formulas at them."""

    name: str
    values: Mapping[Node, np.ndarray]
    reference: Reference
    floating: Evaluation


class Samples:
    """The operands at which a formula is compared with exact arithmetic, made when needed.

    `main` are the recorded ones, `near` random neighbours. `probes` have other signs, zeros and
    small numbers, where the formula as written is defined. `directed` have two operands close to
    each other or far apart.

    Raises:
        BadFormula: the formula cannot be evaluated at its own operands.
    """

    def __init__(self, problem: FormulaProblem) -> None:
        self.problem = problem
        self.main = make_sample(problem, "main", problem.values)

    @functools.cached_property
    def required(self) -> tuple[Sample, ...]:
        """Those on which a rewrite has to be right: main and near."""
        near = self._usable(_near(self.problem.values), 3)
        lost = [
            s
            for s in near
            if ((s.reference.kinds == Kind.UNDEFINED) & self.main.reference.known).any()
        ]
        return (self.main, *(s for s in near if s not in lost))

    @functools.cached_property
    def probes(self) -> tuple[Sample, ...]:
        """Other signs, zeros and small numbers."""
        return self._usable(iter(self.probe_values), len(self.probe_values))

    @functools.cached_property
    def probe_values(self) -> tuple[tuple[str, dict[Node, np.ndarray]], ...]:
        """The operands of the probes, without exact values."""
        return tuple(itertools.islice(_probes(self.problem.values), 11))

    @functools.cached_property
    def directed(self) -> tuple[Sample, ...]:
        """Extremer operands; two operands close to each other or far apart."""
        return self._usable(_directed(self.problem.values), 6)

    def _usable(
        self, sets: Iterator[tuple[str, dict[Node, np.ndarray]]], limit: int
    ) -> tuple[Sample, ...]:
        elements = sum(np.size(x) for x in self.problem.values.values())
        limit = max(2, min(limit, ELEMENTS // elements))
        found = []
        for name, values in itertools.islice(sets, limit):
            try:
                sample = make_sample(self.problem, name, values, main=self.main)
            except BadFormula:
                continue
            if sample.reference.known.any():
                found.append(sample)
        return tuple(found)


def make_sample(
    problem: FormulaProblem,
    name: str,
    values: Mapping[Node, np.ndarray],
    main: Sample | None = None,
) -> Sample:
    """The operands with their exact value and gradient.

    Limits are looked for only at operands near those of `main`, and if it has some.

    Raises:
        BadFormula: the formula cannot be evaluated.
    """
    rounded = {leaf: _as_recorded(leaf, x, problem.dtype) for leaf, x in values.items()}
    limits = main is None or (name.startswith("near") and not main.reference.smooth)
    digits = None if main is None else main.reference.digits
    found = reference_at(
        problem.root, rounded, problem.wanted, problem.dtype, limits=limits, digits=digits
    )
    floating = Evaluation(FLOATING[problem.framework], rounded, problem.dtype)
    return Sample(name, rounded, found, floating)


def _as_recorded(leaf: Node, x: np.ndarray, dtype: str) -> np.ndarray:
    """Exactly the number that the floating-point evaluation starts from."""
    if leaf.attribute("role") not in DISTURBED:
        return np.asarray(x)
    return np.asarray(x, np.float64 if dtype == "float64" else np.float32)


def _disturbed(values: Mapping[Node, np.ndarray]) -> list[Node]:
    return [
        leaf
        for leaf, x in values.items()
        if leaf.attribute("role") in DISTURBED and not is_recorded_mask(leaf, x)
    ]


def is_recorded_mask(leaf: Node, x: np.ndarray) -> bool:
    """Whether a leaf without a gradient was recorded as 0 and 1 only, as a mask in float32."""
    return leaf.attribute("role") is LeafRole.DATA and set(np.unique(x)) == {0.0, 1.0}


def _near(values: Mapping[Node, np.ndarray]) -> Iterator[tuple[str, dict[Node, np.ndarray]]]:
    rng = np.random.default_rng(3)
    for number, width in enumerate((0.02, 0.1, 0.003)):
        found = dict(values)
        for leaf in _disturbed(values):
            x = np.asarray(values[leaf], np.float64)
            moved = x * (1 + width * rng.uniform(-1, 1, x.shape))
            # Both signs around a zero, unless the formula is defined on one side only.
            sign = np.ones(x.shape) if number < 2 else rng.choice([-1.0, 1.0], x.shape)
            found[leaf] = np.where(x == 0, sign * SMALL[number], moved)
        yield f"near {width}", found


def _probes(values: Mapping[Node, np.ndarray]) -> Iterator[tuple[str, dict[Node, np.ndarray]]]:
    rng = np.random.default_rng(5)
    leaves = _disturbed(values)
    mild = {leaf: _mild(values[leaf]) for leaf in leaves}
    yield "mild", {**values, **mild}
    for name in ("flip", "zero"):
        for leaf in leaves[:3]:
            x = mild[leaf]
            pick = rng.random(x.shape) < 0.5
            if not pick.any():
                pick = np.ones(x.shape, bool)
            yield (
                f"{name} {leaf.attribute('name')}",
                {
                    **values,
                    **mild,
                    leaf: np.where(pick, -x if name == "flip" else 0.0, x),
                },
            )
    for leaf in leaves[:3]:
        yield f"zeros {leaf.attribute('name')}", {**values, **mild, leaf: 0.0 * mild[leaf]}
    flipped = {leaf: x * rng.choice([-1.0, 1.0], x.shape) for leaf, x in mild.items()}
    yield "signs", {**values, **flipped}


def _mild(x: np.ndarray) -> np.ndarray:
    """The same signs with sizes around 1, where a naive formula is right."""
    x = np.asarray(x, np.float64)
    return np.asarray(np.sign(x) * np.where(np.abs(x) > 1, np.abs(x) ** 0.3, np.abs(x)))


def _further(x: np.ndarray, factor: float) -> np.ndarray:
    """The next extreme: what is huge or tiny more so, anything else times `factor`."""
    x = np.asarray(x, np.float64)
    size = np.abs(x)
    return np.asarray(np.where(size > 1e6, 30 * x, np.where(size < 1e-6, x / 30, factor * x)))


def _directed(values: Mapping[Node, np.ndarray]) -> Iterator[tuple[str, dict[Node, np.ndarray]]]:
    leaves = _disturbed(values)
    for factor in (1.4, 10.0):
        further = {leaf: _further(values[leaf], factor) for leaf in leaves}
        yield f"further {factor}", {**values, **further}
    for a, b in itertools.permutations(leaves[:3], 2):
        if np.shape(values[a]) == np.shape(values[b]):
            for gap in (12.0, -12.0, 1e-4):
                yield f"{gap}", {**values, a: np.asarray(values[b], np.float64) + gap}
