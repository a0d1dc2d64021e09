"""How far a formula in floating point is from the exact one, on all sets of operands."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from stayfinite.repair.engine.evaluate import BadFormula, to_float64
from stayfinite.repair.engine.exact_runs import ExactRun
from stayfinite.repair.engine.problem import FormulaProblem, Price
from stayfinite.repair.engine.reference import moved_by_rounding, random_seed
from stayfinite.repair.engine.samples import Sample, Samples
from stayfinite.repair.formula import Node, walk

# Relative tolerance by dtype, of value and gradient.
TOLERANCE = {"float16": 2e-2, "bfloat16": 6e-2, "float32": 1e-3, "float64": 1e-6}
# Absolute parts, relative to the largest element of a sample's value, and of its gradient.
VALUE_PART = 1e-6
GRADIENT_PART = 1e-5
# Where an operand's own rounding moves the value by more than the tolerance, a right form may be
# off by that, up to this.
ILL_CONDITIONED = 1e-2
VANISHING = 1e-20  # against what it is elsewhere: terms that cancel in exact arithmetic only
ROUNDINGS = 16  # of the terms of a gradient, each by half the spacing of the dtype
SPACING = {"float16": 9.8e-4, "bfloat16": 7.8e-3, "float32": 1.2e-7, "float64": 2.2e-16}
# The cost of an operation to read and to run; that of others is 1.
COST = {
    "log": 2, "exp": 3, "power": 4, "prod": 6, "divide": 2, "where": 3, "lgamma": 3, "arctan2": 3,
    "cast": 4, "constant": 0.2, "leaf": 0.2, "stop_gradient": 0.5, "expand_dims": 0.3,
}  # fmt: skip


def size(root: Node) -> int:
    """The cost of all operations, each sub-formula once, in tenths of a plain one."""
    return round(10 * sum(COST.get(node.op, 1) for node in walk(root)))


class Pricing:
    """Prices of formulas for one problem."""

    def __init__(self, problem: FormulaProblem, samples: Samples) -> None:
        self.problem = problem
        self.samples = samples
        self.tolerance = TOLERANCE.get(problem.dtype, 1e-3)
        self.spacing = SPACING.get(problem.dtype, 1.2e-7)
        self.known: dict[Node, Price | None] = {}
        self._roundings: dict[str, ExactRun] = {}
        self._original: dict[int, list[np.ndarray]] = {}

    def price(self, root: Node) -> Price | None:
        """The price, or None for a formula that cannot be evaluated or has another shape."""
        if root not in self.known:
            try:
                self.known[root] = self._price(root)
            except BadFormula:
                self.known[root] = None
        return self.known[root]

    def _price(self, root: Node) -> Price:
        values = gradients = regressions = misses = 0
        for sample in self.samples.required:
            wrong = self.errors(root, sample)
            values += int(wrong[0].sum())
            gradients += sum(int(w.sum()) for w in wrong[1:])
        worth = values == 0 and gradients == 0
        for sample in self.samples.probes if worth else ():
            regressions += self._regressions(root, sample)
        for sample in self.samples.directed if worth else ():
            misses += sum(int(w.sum()) for w in self.errors(root, sample))
        return Price(values, gradients, regressions, misses, size(root))

    def worse_at(self, root: Node) -> Iterator[Sample]:
        """The probes at which the original is right and `root` is not."""
        return (probe for probe in self.samples.probes if self._regressions(root, probe))

    def cures(self, root: Node) -> bool:
        """Whether `root` is right at the recorded operands, and nowhere worse than the original."""
        samples = self.samples
        if any(wrong.any() for wrong in self.errors(root, samples.main)):
            return False
        others = (*samples.required[1:], *samples.probes)
        return not any(self._regressions(root, sample) for sample in others)

    def _regressions(self, root: Node, sample: Sample) -> int:
        before, after = self._before(sample), self.errors(root, sample)
        return sum(int((b & ~a).sum()) for a, b in zip(before, after, strict=True))

    def _before(self, sample: Sample) -> list[np.ndarray]:
        if id(sample) not in self._original:
            self._original[id(sample)] = self.errors(self.problem.root, sample)
        return self._original[id(sample)]

    def errors(self, root: Node, sample: Sample) -> list[np.ndarray]:
        """Where the value, and the gradient of each wanted leaf, is wrong.

        Raises:
            BadFormula: the formula cannot be evaluated or has another shape.
        """
        exact, main = sample.reference, sample is self.samples.main
        value = np.asarray(sample.floating.value(root))
        if value.shape != exact.value.shape or value.dtype.kind != "f":
            raise BadFormula(f"shape {value.shape} in the place of {exact.value.shape}")
        reachable = np.where(exact.known, exact.value, np.nan)
        slack = VALUE_PART * _largest_by_sample(reachable)
        # The logarithm of a number next to 1 is off by the spacing there.
        floor = np.minimum(VALUE_PART * _largest(reachable), self.spacing)
        slack = np.maximum(slack, floor)
        wrong = [self._wrong(to_float64(value), exact.value, exact.known, slack, main)]
        if self._is_near(to_float64(value), exact.value, wrong[0]):
            slack = np.maximum(slack, self._moved(sample).value)
            wrong = [self._wrong(to_float64(value), exact.value, exact.known, slack, main)]
        seed = exact.seed.astype(value.dtype)
        found = sample.floating.gradients(root, seed, self.problem.wanted)
        whole = found
        if main and not exact.known.all():
            full = random_seed(value.shape).astype(value.dtype)
            whole = sample.floating.gradients(root, full, self.problem.wanted)
        for leaf in self.problem.wanted:
            want = exact.gradients[leaf]
            known = np.isfinite(want)
            slack = GRADIENT_PART * _largest_by_sample(want)
            part = self._wrong(to_float64(found[leaf]), want, known, slack, main)
            most = self._most_unreachable(sample, leaf)
            gap = np.abs(to_float64(found[leaf]) - want)
            if (part & (gap <= self.tolerance * np.abs(want) + most)).any():
                slack = np.maximum(slack, self._unreachable(root, sample, leaf, seed))
                part = self._wrong(to_float64(found[leaf]), want, known, slack, main)
            if self._is_near(to_float64(found[leaf]), want, part):
                slack = np.maximum(slack, self._moved(sample).gradients[leaf])
                part = self._wrong(to_float64(found[leaf]), want, known, slack, main)
            # Elements without a reference take part too: their gradient has to be finite.
            wrong.append(part | (~np.isfinite(to_float64(whole[leaf])) & main))
        return wrong

    def deviation(self, root: Node) -> tuple[bool, float]:
        """Whether value and gradient are not finite at the recorded operands, and how far off.

        Raises:
            BadFormula: the formula cannot be evaluated.
        """
        sample = self.samples.main
        exact = sample.reference
        value = np.asarray(sample.floating.value(root))
        seed = random_seed(value.shape).astype(value.dtype)
        found = sample.floating.gradients(root, seed, self.problem.wanted)
        arrays = [to_float64(value), *map(to_float64, found.values())]
        broken = not all(np.isfinite(x).all() for x in arrays)
        gap = np.abs(arrays[0] - exact.value)[exact.known]
        return broken, float(np.nan_to_num(gap, nan=np.inf).sum())

    def _is_near(self, found: np.ndarray, want: np.ndarray, wrong: np.ndarray) -> bool:
        """Whether something is wrong, and by so little that it may be a rounding of operands."""
        if not wrong.any() or self.tolerance >= ILL_CONDITIONED:
            return False
        gap = np.abs(found[wrong] - want[wrong])
        return bool((gap <= ILL_CONDITIONED * np.abs(want[wrong])).all())

    def _moved(self, sample: Sample) -> ExactRun:
        """What one rounding of the operands moves the exact value and gradient by, at most."""
        if sample.name not in self._roundings:
            self._roundings[sample.name] = moved_by_rounding(
                self.problem, sample.values, sample.reference, self.spacing
            )
        return self._roundings[sample.name]

    def _unreachable(self, root: Node, sample: Sample, leaf: Node, seed: np.ndarray) -> np.ndarray:
        """What the entries of a gradient are off by since terms of the formula's cancel.

        A saturated softmax has a gradient far below the rounding of its two terms. This is never
        more than a share of the leaf's largest entry: a form that loses more is a worse one.
        """
        size = sample.floating.magnitudes(root, seed, (leaf,))[leaf]
        size = np.nan_to_num(to_float64(size), nan=0.0, posinf=0.0)
        most = self._most_unreachable(sample, leaf)
        return np.asarray(np.minimum(ROUNDINGS * self.spacing * size, most))

    def _most_unreachable(self, sample: Sample, leaf: Node) -> float:
        """What `_unreachable` is at most."""
        return GRADIENT_PART * self._scale(sample, leaf)

    def _scale(self, sample: Sample, leaf: Node) -> float:
        """The size of the gradient of a leaf; where it vanishes, of what it is elsewhere."""
        found = _largest(sample.reference.gradients[leaf])
        gradients = self.samples.main.reference.gradients
        elsewhere = _largest(gradients[leaf]) or 1e-2 * max(map(_largest, gradients.values()))
        return elsewhere if found <= VANISHING * elsewhere else found

    def _wrong(
        self, found: np.ndarray, want: np.ndarray, known: np.ndarray, slack: np.ndarray, main: bool
    ) -> np.ndarray:
        """Where `found` is not `want`; at the recorded operands also where it is not finite."""
        near = np.abs(found - want) <= self.tolerance * np.abs(want) + slack + 1e-37
        return np.asarray(~np.where(known, near, np.isfinite(found) | (not main)))


def _largest_by_sample(x: np.ndarray) -> np.ndarray:
    """The largest absolute value of the numbers in each row along the first axis."""
    size = np.where(np.isfinite(x), np.abs(x), 0.0)
    return np.asarray(size.max(axis=tuple(range(1, size.ndim)), initial=0.0, keepdims=True))


def _largest(x: np.ndarray) -> float:
    """The largest absolute value of the numbers among the elements."""
    return float(np.abs(x[np.isfinite(x)]).max(initial=0.0))
