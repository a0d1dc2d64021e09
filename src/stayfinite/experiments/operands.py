"""The operands at which the engine works: those of the failing samples and a few healthy ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np

from stayfinite.frameworks import base
from stayfinite.frameworks.step import Step
from stayfinite.repair.engine.evaluate import FLOATING, BadFormula, Evaluation
from stayfinite.repair.engine.problem import FormulaProblem, Framework
from stayfinite.repair.extraction import Extraction
from stayfinite.repair.formula import LeafRole, Node, leaf, replaced, walk
from stayfinite.repair.writing import available

# Elements of all operands together: up to which a batch is not cut, and beyond which none is tried.
_FEW = 300
_MOST = 4000
_FAILING, _HEALTHY = 3, 3
_PICKS = frozenset({"index", "pick", "take_along_axis"})
_FLOATS = ("float16", "bfloat16", "float32", "float64")


@dataclass(frozen=True)
class Posed:
    """A question to the engine.

    Args:
        problem: The formula with operands.
        stand_ins: Leaves of it that stand for elements picked from a large array, with the
            sub-formula of each.
    """

    problem: FormulaProblem
    stand_ins: Mapping[Node, Node]


def problem_of(step: Step, extraction: Extraction, samples: tuple[int, ...] | None) -> Posed | None:
    """The formula with the operands of the failing step; None where it has no numbers to compute.

    Some operands may be empty or not known, and the engine has no complex numbers.
    """
    arrays = extraction.arrays()
    if arrays.keys() != set(extraction.leaves) or not all(a.size for a in arrays.values()):
        return None
    if any(array.dtype.kind == "c" for array in arrays.values()):
        return None
    if not _picks_as_recorded(extraction, arrays):
        return None
    of_step = base.framework_of(step.subject)
    framework = cast(Framework, of_step.name)
    for stand_ins in _choices(extraction):
        root = extraction.root
        for stand_in, picked in stand_ins.items():
            root = replaced(root, picked, stand_in)
        known = {**arrays, **extraction.arrays_of(stand_ins)}
        leaves = [node for node in walk(root) if node.op == "leaf"]
        wanted = tuple(leaf for leaf in leaves if leaf.attribute("role") is LeafRole.VARIABLE)
        asked = _Asked(extraction, root, wanted, framework, stand_ins)
        values = asked.cut({leaf: known[leaf] for leaf in leaves if leaf in known}, step, samples)
        if values is None or len(values) < len(leaves):
            continue
        recording = extraction.recording(extraction.failing)
        dtype = "float32" if recording is None else recording.dtype
        problem = FormulaProblem(
            root,
            values,
            wanted,
            dtype=dtype if dtype in _FLOATS else "float32",
            framework=framework,
            available=available(extraction),
            float64_island=of_step.has_float64(),
        )
        return Posed(problem, stand_ins)
    return None


def _picks_as_recorded(extraction: Extraction, arrays: Mapping[Node, np.ndarray]) -> bool:
    """Whether what the formula picks from its arrays is what the step has picked there.

    It is not where the program wrote into an array after the recorded read. Nothing that is known
    at such operands holds for the step.
    """
    picks = [
        node
        for node in walk(extraction.root)
        if node.op in _PICKS
        and node.operands[0] in arrays
        and extraction.recording(node) is not None
    ]
    recorded = extraction.arrays_of({node: node for node in picks})
    evaluation = Evaluation(FLOATING["jax"], arrays)
    for node, step_has in recorded.items():
        try:
            picked = np.asarray(evaluation.value(node))
        except BadFormula:
            return False
        if not np.array_equal(picked, step_has.astype(picked.dtype), equal_nan=True):
            return False
    return True


def _choices(extraction: Extraction) -> Iterator[dict[Node, Node]]:
    """Nothing in the place of anything; leaves in the place of what was picked from an array."""
    yield {}
    found: dict[Node, Node] = {}
    inside: set[Node] = set()
    for node in reversed(list(walk(extraction.root))):
        recording = extraction.recording(node)
        is_picked = node.op in _PICKS and node not in inside
        if is_picked and recording is not None and recording.role is LeafRole.VARIABLE:
            found[leaf(f"picked {len(found) + 1}", recording.role)] = node
            inside.update(walk(node))
    if found:
        yield found


@dataclass(frozen=True)
class _Asked:
    extraction: Extraction
    root: Node
    wanted: tuple[Node, ...]
    framework: Framework
    stand_ins: Mapping[Node, Node]

    def cut(
        self, arrays: Mapping[Node, np.ndarray], step: Step, samples: tuple[int, ...] | None
    ) -> Mapping[Node, np.ndarray] | None:
        """The operands of the failing samples and of a few healthy ones."""
        num_samples = step.trace.num_samples
        if _size(arrays) <= _FEW or num_samples is None:
            return arrays if _size(arrays) <= _MOST and self._evaluates(arrays) else None
        axes = {leaf: self._batch_axis(leaf, arrays[leaf], num_samples) for leaf in arrays}
        failing = samples or self._failing(arrays, axes)
        others = [sample for sample in range(num_samples) if sample not in failing]
        kept = sorted((*failing[:_FAILING], *others[:_HEALTHY]))
        cut = {
            leaf: array if axes[leaf] is None else np.take(array, kept, axes[leaf])
            for leaf, array in arrays.items()
        }
        positions = [x for x, array in arrays.items() if _is_position(x, array, num_samples)]
        cut.update(dict.fromkeys(positions, np.arange(len(kept))))
        for values in (cut, arrays):
            if _size(values) <= _MOST and self._evaluates(values):
                return values
        return None

    def _batch_axis(self, leaf: Node, array: np.ndarray, num_samples: int) -> int | None:
        recording = self.extraction.recording(self.stand_ins.get(leaf, leaf))
        if recording is not None and recording.batch_axis is not None:
            return recording.batch_axis
        if recording is not None and recording.is_held:
            return None  # a weight may have as many rows as the batch
        # What the program made for the batch, as an index of each sample.
        return 0 if array.shape[:1] == (num_samples,) else None

    def _failing(
        self, arrays: Mapping[Node, np.ndarray], axes: Mapping[Node, int | None]
    ) -> tuple[int, ...]:
        """The samples at which the gradient of an operand is not finite."""
        evaluation = Evaluation(FLOATING[self.framework], arrays)
        found: set[int] = set()
        try:
            seed = np.ones(np.shape(evaluation.value(self.root)), np.float32)
            gradients = evaluation.gradients(self.root, seed, self.wanted)
        except BadFormula:
            return ()
        for wanted, gradient in gradients.items():
            axis = axes[wanted]
            if axis is not None:
                others = tuple(d for d in range(gradient.ndim) if d != axis)
                found.update(np.flatnonzero(~np.isfinite(gradient).all(axis=others)).tolist())
        return tuple(sorted(found))

    def _evaluates(self, arrays: Mapping[Node, np.ndarray]) -> bool:
        try:
            Evaluation(FLOATING["jax"], arrays).value(self.root)
        except BadFormula:
            return False
        return True


def _is_position(leaf: Node, array: np.ndarray, num_samples: int) -> bool:
    """Whether an array has the position of each sample in its batch."""
    is_integer = leaf.attribute("role") is LeafRole.INTEGER
    return is_integer and np.array_equal(array, np.arange(num_samples))


def _size(arrays: Mapping[Node, np.ndarray]) -> int:
    return sum(array.size for array in arrays.values())
