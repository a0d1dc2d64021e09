"""The line of a bad value that a patch leaves as it is, while the step logs what it makes of it.

A formula that is written again in the loss leaves the first one to a metric.
"""

from __future__ import annotations

import numpy as np

from stayfinite.diagnose.locate import Diagnosis
from stayfinite.diagnose.values import as_float
from stayfinite.experiments.try_change import NotTried, attempt
from stayfinite.frameworks.step import Step
from stayfinite.repair import Patch


def bad_line(diagnosis: Diagnosis, patch: Patch, step: Step) -> int | None:
    """The number of that line in the patched file; None if the patch leaves no such line.

    Args:
        diagnosis: Why the step fails without the patch.
        patch: With it the loss and the new state are finite.
        step: The step with the patch, which is in place.
    """
    op = diagnosis.evidence.forward_op
    span = None if op is None else op.span
    if span is None or span.file != patch.original.path:
        return None
    line = patch.line_now(span.line)
    if line is None:
        return None
    logged = attempt(lambda: step.fetch(_computed(step)))
    if isinstance(logged, NotTried):
        return None
    is_bad = any(not np.isfinite(as_float(array)).all() for array in logged.values())
    return line if is_bad else None


def _computed(step: Step) -> set[int]:
    """What is logged and made by an op of the step; the rest is no array of it."""
    return {number for number in step.trace.observed if number in step.trace.producer}
