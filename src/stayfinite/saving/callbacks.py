"""Safe forms of the callbacks of Keras that keep the best model or a backup."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from stayfinite.frameworks.keras import private_epochs
from stayfinite.saving.whole_files import refusals_as_warnings

Method = Callable[..., Any]


def comparing(plain: Method) -> Method:
    """`on_epoch_end` or `on_train_batch_end` of a callback that compares with the best so far.

    A non-finite value is never an improvement, not even as the first value.
    """

    def on_end(callback: Any, number: int, logs: dict[str, Any] | None = None) -> Any:
        value = (logs or {}).get(callback.monitor)
        if logs is None or value is None or _is_finite(value):
            return plain(callback, number, logs)
        best, best_weights = callback.best, getattr(callback, "best_weights", None)
        # A comparison with NaN is false, in both directions. The logs are those of all callbacks.
        logs[callback.monitor] = math.nan
        if best is None:
            callback.best = math.nan
        try:
            return plain(callback, number, logs)
        finally:
            logs[callback.monitor] = value
            callback.best = best
            if best_weights is None and hasattr(callback, "best_weights"):
                callback.best_weights = None

    return on_end


def checkpointing(plain: Method) -> Method:
    """As `comparing`, for `ModelCheckpoint`; a model that was not saved is not the best."""
    compare = comparing(plain)

    def on_end(callback: Any, number: int, logs: dict[str, Any] | None = None) -> Any:
        best = callback.best
        with refusals_as_warnings() as refusals:
            result = (compare if callback.save_best_only else plain)(callback, number, logs)
        if refusals:
            callback.best = best
        return result

    return on_end


def backing_up(plain: Method) -> Method:
    """`on_epoch_end` or `on_train_batch_end` of `BackupAndRestore`.

    The file with the number of the epoch is replaced as a whole, if the weights were saved.
    """

    def on_end(callback: Any, number: int, logs: dict[str, Any] | None = None) -> Any:
        with (
            refusals_as_warnings() as refusals,
            private_epochs.epoch_of_backup(callback, lambda: not refusals),
        ):
            return plain(callback, number, logs)

    return on_end


def at_batches(make: Callable[[Method], Method]) -> Callable[[Method], Method]:
    """`make` for `on_train_batch_end`, where a callback saves only if `save_freq` counts batches.

    Otherwise the values of a batch are not read, because reading waits for the device.
    """

    def changed(plain: Method) -> Method:
        safe = make(plain)

        def on_end(callback: Any, batch: int, logs: dict[str, Any] | None = None) -> Any:
            method = plain if callback.save_freq == "epoch" else safe
            return method(callback, batch, logs)

        return on_end

    return changed


def ending_backup(plain: Method) -> Method:
    """`on_train_end` of `BackupAndRestore`; the backup is not deleted after a bad end."""

    def on_train_end(callback: Any, logs: dict[str, Any] | None = None) -> Any:
        loss = (logs or {}).get("loss")
        is_bad = loss is not None and not _is_finite(loss)
        if is_bad or sys.exc_info()[0] is not None:
            return None
        return plain(callback, logs)

    return on_train_end


def _is_finite(value: Any) -> bool:
    array = np.asarray(value)
    # An array is compared by no callback.
    return array.size != 1 or bool(np.isfinite(array).all())
