"""What the guard hands to the explanation: one bad step, as it was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stayfinite.frameworks.recorder import Recorded
from stayfinite.frameworks.snapshots import Snapshot

# The files that one sample of a batch was read from.
Files = tuple[str, ...]


@dataclass(frozen=True)
class Failure:
    """A bad step: the model, the state before the step, its batch, healthy batches before it.

    `snapshots` are earlier states, newest first.

    `state` is the backend's own form of the whole state (weights, moving statistics, optimizer
    variables, random seeds). `rerun()` runs the compiled step that failed on copies of both and
    says whether it is non-finite again. `files()` asks for the files of each sample of the bad
    batch.
    """

    model: Any
    state: Any
    bad: Recorded
    healthy: list[Recorded]
    snapshots: list[Snapshot]
    rerun: Callable[[], bool]
    files: Callable[[], tuple[Files, ...] | None]
    keep: Path
    script: str | None
