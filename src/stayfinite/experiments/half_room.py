"""Whether what a fix casts to float32 had room in half precision before the cast.

A value that is just below the largest number of float16 at the failing step is above it at one of
the next: the fix has to cast what that value is computed of.
"""

from __future__ import annotations

import numpy as np

from stayfinite.diagnose.values import as_float
from stayfinite.frameworks.step import Step
from stayfinite.numerics.dtypes import HALF, largest
from stayfinite.repair import Patch

_MOST = 0.5  # of the largest number


def has_room(step: Step, patch: Patch) -> bool:
    """Whether all that new lines of `patch` cast from half precision is far from its end.

    Args:
        step: The failing step with the patch in place.
        patch: The patch.
    """
    before = set(patch.original.text.splitlines())
    lines = enumerate(patch.source.text.splitlines(), start=1)
    new = {number for number, line in lines if line not in before}
    trace = step.trace
    dtypes: dict[int, str] = {}
    for op in trace.ops:
        span = op.span
        if op.name != "cast" or op.phase != "forward" or span is None:
            continue
        dtype = trace.values[op.operands[0]].dtype
        if span.file == patch.original.path and span.line in new and dtype in HALF:
            dtypes[op.operands[0]] = dtype
    return all(
        float(np.max(np.abs(as_float(array)), initial=0.0)) <= _MOST * largest(dtypes[value])
        for value, array in step.fetch(list(dtypes)).items()
    )
