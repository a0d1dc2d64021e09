"""A cause with its facts: what is recognised in the evidence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from stayfinite.diagnose.facts import Facts
from stayfinite.graph.graph import Span
from stayfinite.incident import Phase

CauseName = Literal[
    "bad-input",
    "bad-statistics",
    "bad-target",
    "bad-update",
    "bad-weights",
    "divergence",
    "division-by-zero",
    "empty-reduction",
    "epsilon-underflow",
    "fully-masked-row",
    "half-overflow",
    "log-of-zero",
    "masked-branch",
    "not-reproduced",
    "out-of-domain",
    "overflow",
    "singular-gradient",
    "unknown",
]

Mechanism = Literal[
    "singular-gradient",
    "masked-branch",
    "log-of-zero",
    "division-by-zero",
    "empty-reduction",
    "fully-masked-row",
    "overflow",
    "half-overflow",
    "out-of-domain",
]


@dataclass(frozen=True)
class Critical:
    """The value that decides whether it fails: its number in the graph, and its samples."""

    value: int
    samples: tuple[int, ...] | None


@dataclass(frozen=True)
class Finding:
    """A cause with its facts. `report.wording` has the sentences.

    Args:
        cause: Contract name.
        facts: What is known, as numbers and names.
        op: Canonical name of the op at fault, or what came in, one of `Incoming`.
        samples: Suspect samples of the batch; None where they are not known.
        critical: Where to ask for provenance.
        mechanism: Kind of source repair, or None where the source is not at fault.
        operand: Position of the critical operand in the op.
        tensor: Name of the batch array or state variable at fault.
        phase: Where the step went wrong, if not where the op ran.
        span: The user's line, where it is not that of the root op.
    """

    cause: CauseName
    facts: Facts
    op: str
    samples: tuple[int, ...] | None = None
    critical: Critical | None = None
    mechanism: Mechanism | None = None
    operand: int = 0
    tensor: str | None = None
    phase: Phase | None = None
    span: Span | None = None
