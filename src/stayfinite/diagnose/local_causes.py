"""The causes that one expression can have by itself, asked on behalf of a more general one.

A constraint of the user's that divides by 0 is a `bad-update`; how to mend its source is what
`division-by-zero` knows.
"""

from __future__ import annotations

import importlib

from stayfinite.diagnose.evidence import Evidence
from stayfinite.diagnose.finding import Finding

_ASKED = (
    "epsilon-underflow",
    "out-of-domain",
    "log-of-zero",
    "empty-reduction",
    "division-by-zero",
    "half-overflow",
    "overflow",
)


def match(evidence: Evidence) -> Finding | None:
    """What is wrong with the expression at the root, if one of these rules can say."""
    for name in _ASKED:
        rule = importlib.import_module(f"stayfinite.diagnose.causes.{name.replace('-', '_')}")
        finding: Finding | None = rule.match(evidence)
        if finding is not None:
            return finding
    return None
