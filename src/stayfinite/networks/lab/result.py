"""What came of one configuration, as a file beside its training."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from stayfinite.networks.training.folder import write_json

DONE, NON_FINITE, DIED = "done", "non-finite", "died"
# Its files beside those of the training.
REPORT, STEPS, RESULT, LOG = "report.txt", "steps.csv", "result.json", "log.txt"


@dataclass(frozen=True)
class Result:
    """The end of one configuration; `figures` are those of its best epoch."""

    settings: dict[str, Any]
    status: str
    seconds: float = 0.0
    num_steps: int = 0
    figures: dict[str, float] = field(default_factory=dict)
    step: int | None = None  # the bad one
    cause: str | None = None
    message: str = ""
    found: list[dict[str, float]] = field(default_factory=list)  # in rows never filled

    def save(self, path: Path) -> None:
        """Write it down."""
        write_json(path, asdict(self))


def read_result(path: Path) -> Result | None:
    """The result in a file; None if there is none, or it is damaged."""
    try:
        return Result(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
