"""The operands at which the engine works: those of the failing samples and a few healthy ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import numpy as np

from stayfinite.frameworks import base
from stayfinite.frameworks.step import Step
from stayfinite.repair.engine.evaluate import FLOATING, BadFormula, Evaluation
from stayfinite.repair.engine.problem import FormulaProblem, Framework
from stayfinite.repair.extraction import Extraction
from stayfinite.repair.formula import LeafRole, Node
from stayfinite.repair.writing import available

# Elements of all operands together: up to which a batch is not cut, and beyond which none is tried.
_FEW = 300
_MOST = 4000
_FAILING, _HEALTHY = 3, 3
_FLOATS = ("float16", "bfloat16", "float32", "float64")


def problem_of(
    step: Step, extraction: Extraction, samples: tuple[int, ...] | None
) -> FormulaProblem | None:
    """The formula with the operands of the failing step; None where some are not known."""
    arrays = extraction.arrays()
    if arrays.keys() != set(extraction.leaves):
        return None
    framework = cast(Framework, base.current().name)
    wanted = tuple(
        leaf for leaf in extraction.leaves if leaf.attribute("role") is LeafRole.VARIABLE
    )
    values = _cut(extraction, arrays, framework, wanted, samples, step.trace.num_samples)
    if values is None:
        return None
    recording = extraction.recording(extraction.failing)
    dtype = "float32" if recording is None else recording.dtype
    return FormulaProblem(
        extraction.root,
        values,
        wanted,
        dtype=dtype if dtype in _FLOATS else "float32",
        framework=framework,
        available=available(extraction),
        float64_island=base.current().has_float64(),
    )


def _cut(
    extraction: Extraction,
    arrays: Mapping[Node, np.ndarray],
    framework: Framework,
    wanted: tuple[Node, ...],
    samples: tuple[int, ...] | None,
    num_samples: int | None,
) -> Mapping[Node, np.ndarray] | None:
    """The operands of the failing samples and of a few healthy ones."""
    if _size(arrays) <= _FEW or num_samples is None:
        return arrays if _size(arrays) <= _MOST and _evaluates(extraction, arrays) else None
    axes = {leaf: _batch_axis(extraction, leaf, arrays[leaf], num_samples) for leaf in arrays}
    failing = samples or _failing(extraction, arrays, axes, framework, wanted)
    others = [sample for sample in range(num_samples) if sample not in failing]
    kept = sorted((*failing[:_FAILING], *others[:_HEALTHY]))
    cut = {
        leaf: array if axes[leaf] is None else np.take(array, kept, axes[leaf])
        for leaf, array in arrays.items()
    }
    for values in (cut, arrays):
        if _size(values) <= _MOST and _evaluates(extraction, values):
            return values
    return None


def _size(arrays: Mapping[Node, np.ndarray]) -> int:
    return sum(array.size for array in arrays.values())


def _batch_axis(
    extraction: Extraction, leaf: Node, array: np.ndarray, num_samples: int
) -> int | None:
    recording = extraction.recording(leaf)
    if recording is not None and recording.batch_axis is not None:
        return recording.batch_axis
    # What the program made for the batch, as an index of each sample.
    return 0 if array.shape[:1] == (num_samples,) else None


def _failing(
    extraction: Extraction,
    arrays: Mapping[Node, np.ndarray],
    axes: Mapping[Node, int | None],
    framework: Framework,
    wanted: tuple[Node, ...],
) -> tuple[int, ...]:
    """The samples at which the gradient of an operand is not finite."""
    evaluation = Evaluation(FLOATING[framework], arrays)
    found: set[int] = set()
    try:
        seed = np.ones(np.shape(evaluation.value(extraction.root)), np.float32)
        gradients = evaluation.gradients(extraction.root, seed, wanted)
    except BadFormula:
        return ()
    for leaf, gradient in gradients.items():
        axis = axes[leaf]
        if axis is not None:
            others = tuple(d for d in range(gradient.ndim) if d != axis)
            found.update(np.flatnonzero(~np.isfinite(gradient).all(axis=others)).tolist())
    return tuple(sorted(found))


def _evaluates(extraction: Extraction, arrays: Mapping[Node, np.ndarray]) -> bool:
    try:
        Evaluation(FLOATING["jax"], arrays).value(extraction.root)
    except BadFormula:
        return False
    return True
