"""The patches of Keras that make files safe while a training is guarded."""

from __future__ import annotations

from collections.abc import Callable

import keras

from stayfinite.saving.callbacks import (
    at_batches,
    backing_up,
    checkpointing,
    comparing,
    ending_backup,
)
from stayfinite.saving.patches import KerasPatch, Patches
from stayfinite.saving.whole_files import saving


def _patches() -> list[KerasPatch]:
    kinds = keras.callbacks
    # The same function under two names; the last is not in each release of Keras.
    functions = (
        (keras.saving, "save_model"),
        (keras.models, "save_model"),
        (keras.saving, "save_weights"),
    )
    return [
        KerasPatch(keras.Model, "save", saving),
        KerasPatch(keras.Model, "save_weights", saving),
        *(KerasPatch(*function, saving) for function in functions if hasattr(*function)),
        KerasPatch(kinds.ModelCheckpoint, "on_epoch_end", checkpointing),
        KerasPatch(kinds.ModelCheckpoint, "on_train_batch_end", at_batches(checkpointing)),
        KerasPatch(kinds.BackupAndRestore, "on_epoch_end", backing_up),
        KerasPatch(kinds.BackupAndRestore, "on_train_batch_end", at_batches(backing_up)),
        KerasPatch(kinds.BackupAndRestore, "on_train_end", ending_backup),
        KerasPatch(kinds.EarlyStopping, "on_epoch_end", comparing),
        KerasPatch(kinds.ReduceLROnPlateau, "on_epoch_end", comparing),
    ]


_PATCHES = Patches(_patches)


def make_files_safe(owner: object) -> Callable[[], None]:
    """Make the files of Keras safe until `owner` is deleted or the returned function is called."""
    return _PATCHES.hold(owner)
