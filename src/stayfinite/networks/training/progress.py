"""A training that goes on where it was interrupted, as if it had not been.

After each epoch the model with its optimizer is saved, and a small file says which epoch that was,
what came of the epochs so far, and what the callbacks have counted. Keras's own
`BackupAndRestore` leaves out the last: after it, a learning rate is not reduced when it should be.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras

from stayfinite.errors import UsageError
from stayfinite.networks.training.folder import OutputFolder, Row, write_json, write_table

# What the callbacks of Keras count from epoch to epoch, and forget when `fit` begins.
_COUNTS = ("wait", "best", "best_epoch", "cooldown_counter", "stopped_epoch")


@dataclass
class Progress:
    """How far a training is."""

    settings: dict[str, Any]
    phase: int = 0
    epoch: int = 0  # epochs done in this phase
    stopped: bool = False  # whether early stopping has ended this phase
    model: str | None = None  # the file of the model after that epoch
    rows: list[Row] = field(default_factory=list)
    counts: dict[str, dict[str, Any]] = field(default_factory=dict)

    def save(self, folder: OutputFolder) -> None:
        """Write it down, and the history as a table beside it."""
        write_json(folder.progress, asdict(self))
        columns = list(dict.fromkeys(name for row in self.rows for name in row))
        write_table(folder.history, columns, self.rows)


def read_progress(folder: OutputFolder, settings: dict[str, Any]) -> Progress:
    """What an earlier start left in the folder, or a beginning.

    Raises:
        UsageError: If the earlier training had other settings, or its files are damaged.
    """
    if not folder.progress.exists():
        return Progress(settings)
    again = f"pass another --out, or --fresh to begin anew in {folder.root}"
    try:
        found = Progress(**json.loads(folder.progress.read_text(encoding="utf-8")))
    except (ValueError, TypeError, OSError) as error:
        raise UsageError(f"{folder.progress} is damaged ({error}); {again}") from error
    changed = [key for key in settings if settings[key] != found.settings.get(key)]
    if changed:
        was = ", ".join(f"{key}={found.settings.get(key)!r}" for key in changed)
        raise UsageError(f"the training in {folder.root} was started with {was}; {again}")
    return found


def begin(out: Path, settings: Any, fresh: bool) -> tuple[OutputFolder, Progress]:
    """The folder of a training and how far it is, with random seed and precision set.

    Args:
        out: The folder; it is made.
        settings: A dataclass, with `seed` and `precision` among its fields.
        fresh: Forget what is in the folder.

    Raises:
        UsageError: If the folder cannot be used, or holds a training with other settings.
    """
    folder = OutputFolder(out)
    folder.make()
    if fresh:
        folder.progress.unlink(missing_ok=True)
    progress = read_progress(folder, asdict(settings))
    keras.utils.set_random_seed(settings.seed)
    keras.config.set_dtype_policy(settings.precision)
    return folder, progress


def load_last(folder: OutputFolder, progress: Progress) -> Any:
    """The model of the last whole epoch, with its optimizer.

    Raises:
        UsageError: If the file is missing or damaged.
    """
    path = folder.root / str(progress.model)
    try:
        return keras.saving.load_model(path)
    except (ValueError, OSError, KeyError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise UsageError(f"{path} cannot be read ({reason}); pass --fresh to begin anew") from error


class KeepProgress(keras.callbacks.Callback):
    """Saves model and progress after each epoch, and gives other callbacks their counts back.

    To stand behind those callbacks: they reset themselves when the training begins.

    Args:
        folder: Where to.
        progress: Is brought up to date.
        others: Callbacks with counts to keep, by name.
        data: Whose `epoch` follows the training: Keras begins a pass over it to learn its shapes,
            so the data cannot count by themselves.
        phase: Name of the phase, for the history.
    """

    def __init__(
        self,
        folder: OutputFolder,
        progress: Progress,
        others: dict[str, Any],
        data: Any = None,
        phase: str | None = None,
    ) -> None:
        super().__init__()
        self._data = data
        self._folder, self._progress, self._others = folder, progress, others
        self._phase = phase
        self._began = time.monotonic()

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Called by Keras."""
        for name, counts in self._progress.counts.items():
            for key, value in counts.items():
                setattr(self._others[name], key, value)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Called by Keras."""
        self._began = time.monotonic()
        if self._data is not None:
            self._data.epoch = len(self._progress.rows)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Called by Keras."""
        progress = self._progress
        row: Row = {"epoch": len(progress.rows)}
        if self._phase is not None:
            row["phase"] = self._phase
        row |= {name: float(value) for name, value in (logs or {}).items()}
        row["seconds"] = round(time.monotonic() - self._began, 3)
        progress.rows.append(row)
        progress.epoch = epoch + 1
        progress.stopped = bool(self.model.stop_training)
        progress.counts = {name: _counts(other) for name, other in self._others.items()}
        # A file of its own each time: the progress always names a whole one, whenever it ends.
        before, progress.model = progress.model, f"last-{len(progress.rows)}.keras"
        self.model.save(self._folder.root / progress.model)
        progress.save(self._folder)
        if before is not None:
            (self._folder.root / before).unlink(missing_ok=True)


def _counts(callback: Any) -> dict[str, Any]:
    found = {key: getattr(callback, key, None) for key in _COUNTS}
    # None and infinity stand for "nothing yet", which is how a callback begins anyway.
    return {
        key: float(value) if key == "best" else int(value)
        for key, value in found.items()
        if value is not None and math.isfinite(value)
    }


def best_row(rows: Sequence[Row], monitor: str, *, largest: bool = False) -> Row | None:
    """The epoch with the smallest, or largest, finite value of `monitor`; the first of equals."""
    finite = [row for row in rows if math.isfinite(float(row.get(monitor, math.nan)))]
    sign = -1 if largest else 1
    return min(finite, key=lambda row: sign * float(row[monitor]), default=None)


def best_epoch(
    folder: OutputFolder, progress: Progress, monitor: str, *, largest: bool = False
) -> Row:
    """`best_row` of a training.

    Raises:
        UsageError: If no epoch has a finite value.
    """
    best = best_row(progress.rows, monitor, largest=largest)
    if best is None:
        raise UsageError(f"no epoch of {folder.root} has a finite {monitor}; nothing was saved")
    return best


def numbers_of(row: Row) -> dict[str, float]:
    """The numbers of an epoch, without the name of its phase."""
    return {name: value for name, value in row.items() if not isinstance(value, str)}
