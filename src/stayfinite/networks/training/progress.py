"""Continuation of an interrupted training with the same result as without the interruption.

After each epoch, the model with its optimizer is saved, and a small file stores the epoch, the
history and the counters of the callbacks. `keras.callbacks.BackupAndRestore` does not store those
counters, so that a learning rate would be reduced at another epoch.
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

# Counters of the callbacks of Keras that `fit` resets.
_COUNTS = ("wait", "best", "best_epoch", "cooldown_counter", "stopped_epoch")


@dataclass
class Progress:
    """The progress of a training."""

    settings: dict[str, Any]
    phase: int = 0
    epoch: int = 0  # epochs done in this phase
    stopped: bool = False  # whether early stopping has ended this phase
    model: str | None = None  # the file of the model after that epoch
    baselines: dict[str, float] = field(default_factory=dict)  # without a training
    rows: list[Row] = field(default_factory=list)
    counts: dict[str, dict[str, Any]] = field(default_factory=dict)

    def save(self, folder: OutputFolder) -> None:
        """Write the progress, and the history as a table."""
        write_json(folder.progress, asdict(self))
        columns = list(dict.fromkeys(name for row in self.rows for name in row))
        write_table(folder.history, columns, self.rows)


def read_progress(folder: OutputFolder, settings: dict[str, Any]) -> Progress:
    """Read the progress of an earlier start, or return that of a new training.

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
    """Create the output folder, read the progress, and set random seed and precision.

    Args:
        out: The folder; created if it does not exist.
        settings: A dataclass with the fields `seed` and `precision`.
        fresh: Ignore the progress in the folder.

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
    """Load the model of the last complete epoch with its optimizer.

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
    """Saves model and progress after each epoch, and restores the counters of other callbacks.

    It must come after those callbacks in the list, because they reset their counters when the
    training begins.

    Args:
        folder: The folder to write to.
        progress: The progress; updated after each epoch.
        others: Callbacks whose counters are kept, by name.
        data: Data set whose `epoch` is set: Keras may make an additional pass over the data to
            learn their shapes, so the data set cannot count the epochs.
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
        """Restore the counters of the other callbacks."""
        for name, counts in self._progress.counts.items():
            for key, value in counts.items():
                setattr(self._others[name], key, value)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Start the clock, and set the epoch of the data."""
        self._began = time.monotonic()
        if self._data is not None:
            self._data.epoch = len(self._progress.rows)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Append the epoch to the history; save model and progress."""
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
        # A new file each time, so that the progress always names a complete one.
        before, progress.model = progress.model, f"last-{len(progress.rows)}.keras"
        self.model.save(self._folder.root / progress.model)
        progress.save(self._folder)
        if before is not None:
            (self._folder.root / before).unlink(missing_ok=True)


def _counts(callback: Any) -> dict[str, Any]:
    found = {key: getattr(callback, key, None) for key in _COUNTS}
    # None and infinity are initial values, which a callback sets itself.
    return {
        key: float(value) if key == "best" else int(value)
        for key, value in found.items()
        if value is not None and math.isfinite(value)
    }


def best_row(rows: Sequence[Row], monitor: str, *, largest: bool = False) -> Row | None:
    """Return the first epoch with the smallest, or largest, finite value of `monitor`."""
    finite = [row for row in rows if math.isfinite(float(row.get(monitor, math.nan)))]
    sign = -1 if largest else 1
    return min(finite, key=lambda row: sign * float(row[monitor]), default=None)


def best_epoch(
    folder: OutputFolder, progress: Progress, monitor: str, *, largest: bool = False
) -> Row:
    """Return the first epoch with the smallest, or largest, finite value of `monitor`.

    Raises:
        UsageError: If no epoch has a finite value.
    """
    best = best_row(progress.rows, monitor, largest=largest)
    if best is None:
        raise UsageError(f"no epoch of {folder.root} has a finite {monitor}; nothing was saved")
    return best


def numbers_of(row: Row) -> dict[str, float]:
    """Return the numbers of an epoch without the name of its phase."""
    return {name: value for name, value in row.items() if not isinstance(value, str)}
