"""What a rule says when it matches."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from stayfinite.graph.graph import Span
from stayfinite.incident import Phase

Mechanism = Literal[
    "singular-gradient",
    "masked-branch",
    "log-of-zero",
    "division-by-zero",
    "empty-reduction",
    "fully-masked-row",
    "overflow",
    "half-overflow",
]


@dataclass(frozen=True)
class Critical:
    """The value that made it happen: `text` of it, its number in the trace, its samples."""

    value: int
    samples: tuple[int, ...] | None


@dataclass(frozen=True)
class Finding:
    """A cause, in words and as what a repair has to know.

    Args:
        cause: Contract name.
        message: One sentence that stands alone; lower case, no full stop.
        op: Canonical name of the op at fault.
        detail: The numbers behind the message, for the first `because` line.
        samples: Suspect samples of the batch; None where they are not known.
        critical: Where to ask for provenance.
        mechanism: Kind of source repair, or None where the source is not at fault.
        operand: Position of the critical operand in the op.
        remedy: Advice in words where no source repair applies.
        tensor: Name of the batch array or weight at fault.
        phase: Where the step went wrong, if not where the op ran.
        span: The user's line, where it is not that of the root op.
    """

    cause: str
    message: str
    op: str
    detail: str = ""
    samples: tuple[int, ...] | None = None
    critical: Critical | None = None
    mechanism: Mechanism | None = None
    operand: int = 0
    remedy: str | None = None
    tensor: str | None = None
    phase: Phase | None = None
    span: Span | None = None
    notes: tuple[str, ...] = field(default=())
