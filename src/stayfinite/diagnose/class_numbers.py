"""Class numbers that are none, of which a one-hot row is all zeros."""

from __future__ import annotations

import numpy as np

from stayfinite.diagnose import numbers, patterns
from stayfinite.diagnose.evidence import Evidence, as_float
from stayfinite.diagnose.finding import Finding
from stayfinite.graph.graph import Leaf
from stayfinite.graph.walk import upstream

_NEAREST = 60


def match(evidence: Evidence, cause: str, roles: tuple[str, ...], noun: str) -> Finding | None:
    """The root failed just in the samples whose one-hot code has no 1, as that of the label -1."""
    op = evidence.op
    if op is None or op.phase != "forward" or evidence.loss_finite:
        return None
    samples = evidence.samples(op.results[0], evidence.bad(op.results[0]))
    if not samples:
        return None
    for value, leaf in _coded(evidence, roles):
        array = evidence.fetch([leaf.value])[leaf.value]
        labels = as_float(array)
        num_classes = evidence.trace.values[value].shape[-1]
        outside = (labels < 0) | (labels >= num_classes)
        if not labels.ndim or numbers.samples_with(outside) != tuple(samples):
            continue
        # Asked last: the code, unlike the labels, takes a run of the step.
        code = as_float(evidence.fetch([value])[value])
        if code.size != labels.size * num_classes or not np.isin(code, (0.0, 1.0)).all():
            continue
        if not np.array_equal(code.reshape(-1, num_classes).sum(axis=-1) == 0, outside.ravel()):
            continue
        shown = ", ".join(sorted({numbers.short(v) for v in labels[outside]})[:4])
        pattern = patterns.of_indices(array, num_classes - 1)
        return Finding(
            cause=cause,
            message=f"{noun} `{leaf.name}` of the batch holds classes that do not exist: {shown}",
            op=noun,
            detail=(
                f"of {num_classes} classes it is none, so its one-hot row is all 0"
                f"{numbers.count(samples, evidence.trace.num_samples)}, "
                f"and `{op.name}` fails on that" + (f"; {pattern}" if pattern else "")
            ),
            samples=samples,
            remedy=(
                f"leave out the samples of `{leaf.name}` that have no class "
                f"({numbers.samples_named(samples)}) before training"
            ),
            tensor=leaf.name,
            phase="data",
        )
    return None


def _coded(evidence: Evidence, roles: tuple[str, ...]) -> list[tuple[int, Leaf]]:
    """Values upstream of the root that were made of one batch array alone, nearest first."""
    op, trace = evidence.op, evidence.trace
    assert op is not None
    found: dict[int, Leaf] = {}
    for operand in op.operands:
        for made_by in upstream(trace, operand, max_ops=_NEAREST):
            for value in made_by.results:
                shape = trace.values[value].shape
                if len(shape) < 2 or shape[-1] < 2:
                    continue
                leaves = trace.leaves_of(value)
                if len({leaf.value for leaf in leaves}) == 1 and leaves[0].role in roles:
                    found[value] = leaves[0]
    return list(found.items())
