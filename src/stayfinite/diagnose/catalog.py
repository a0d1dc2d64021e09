"""All causes: their pages, and the order in which they are asked."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
from collections.abc import Callable
from types import ModuleType

from stayfinite.diagnose.evidence import Evidence
from stayfinite.diagnose.finding import Finding

# What came in is asked before what was computed from it, and what the forward pass hides before
# what it shows. `unknown` matches everything.
ORDER = (
    "bad-weights",
    "bad-statistics",
    "bad-input",
    "bad-target",
    "divergence",
    "bad-update",
    "fully-masked-row",
    "masked-branch",
    "epsilon-underflow",
    "singular-gradient",
    "out-of-domain",
    "log-of-zero",
    "empty-reduction",
    "division-by-zero",
    "half-overflow",
    "overflow",
    "unknown",
)
# Causes that no single op shows; they are found by replay, not by a rule.
BY_REPLAY = ("not-reproduced",)


def diagnose(evidence: Evidence) -> Finding:
    """The first cause that matches `evidence`.

    A rule that fails does not take the others with it; the finding has a note of it.
    """
    notes: list[str] = []
    for name in ORDER:
        match: Callable[[Evidence], Finding | None] = _module(name).match
        try:
            finding = match(evidence)
        except Exception as error:
            notes.append(f"the rule `{name}` failed: {type(error).__name__}: {error}")
            continue
        if finding is not None:
            return dataclasses.replace(finding, notes=(*finding.notes, *notes))
    raise AssertionError("the rule `unknown` must match everything")


def pages() -> dict[str, str]:
    """Cause name to its page in Markdown."""
    names = sorted((*ORDER, *BY_REPLAY))
    return {name: inspect.cleandoc(_module(name).__doc__ or "") for name in names}


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"stayfinite.diagnose.causes.{name.replace('-', '_')}")
