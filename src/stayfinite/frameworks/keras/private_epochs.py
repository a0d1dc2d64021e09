"""The private names of Keras for the place of a running `fit` in its epochs and batches.

They are reached as those of `private.py` are.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import queue
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import keras

from stayfinite.files.writing import in_errors, put
from stayfinite.frameworks.keras.private import required


def epoch_iterator_at_work() -> EpochIterator | None:
    """The iterator over the data of the `fit` that called this function; None outside `fit`."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        iterator = frame.f_locals.get("epoch_iterator")
        if iterator is not None and hasattr(iterator, "_enumerate_iterator"):
            return EpochIterator(iterator)
        frame = frame.f_back
    return None


def is_over_arrays(batches: object) -> bool:
    """Whether an iterator on the host gives slices of the arrays that `fit` was given."""
    code = getattr(batches, "gi_code", None)
    return code is not None and code is _code_over_arrays()


@functools.cache
def _code_over_arrays() -> CodeType:
    adapters = importlib.import_module("keras.src.trainers.data_adapters.array_data_adapter")
    code: CodeType = required(required(adapters, "ArrayDataAdapter"), "_get_iterator").__code__
    return code


class EpochIterator:
    """The object that gives a `fit` its batches, epoch after epoch.

    Private: Keras has no other place at which the callbacks of a step are done, and none to leave
    out batches.
    """

    def __init__(self, iterator: Any) -> None:
        self._iterator = iterator
        self.steps_per_execution: int = iterator.steps_per_execution
        self.plain: Callable[[], Iterator[Any]] = required(iterator, "_enumerate_iterator")

    def replace(self, enumeration: Callable[[], Iterator[Any]]) -> None:
        """Have each epoch enumerated by `enumeration`, which gives what `plain` gives."""
        self._iterator._enumerate_iterator = enumeration

    @property
    def knows_its_end(self) -> bool:
        """Whether the data say how many batches an epoch has.

        Keras infers a number from the first epoch, and counts the batch that did not come.
        """
        return self._iterator.data_adapter.num_batches is not None

    @property
    def under_way(self) -> Any:
        """The iterator over batches that an epoch of `steps_per_epoch` goes on with; or None."""
        goes_on = self.is_begun and self._iterator._steps_seen
        return self._iterator._current_iterator if goes_on else None

    @property
    def spans_epochs(self) -> bool:
        """Whether an iterator over batches is used for several epochs."""
        return bool(self._iterator.steps_per_epoch)

    @property
    def is_begun(self) -> bool:
        """Whether the iterator of the next epoch has been made, with or without a batch drawn."""
        return self.spans_epochs and self._iterator._current_iterator is not None

    @property
    def ends_now(self) -> bool:
        """Whether the iterator over several epochs is used up, so that another one is made."""
        number = self._iterator._num_batches
        return self.spans_epochs and bool(number) and self._iterator._steps_seen >= number

    def begin_under_way(self, num_drawn: int) -> Any:
        """Make such an iterator, of which so many batches will have been drawn."""
        batches = iter(self._iterator._get_iterator())
        self._iterator._current_iterator, self._iterator._steps_seen = batches, num_drawn
        return batches

    def until_exhausted(self) -> Any:
        """A context in which the end of the data ends the epoch, as in `fit`."""
        return self._iterator.catch_stop_iteration()

    @property
    def adapter(self) -> str:
        """The name of the class that adapts the data of the user."""
        return type(self._iterator.data_adapter).__name__

    @property
    def shuffles(self) -> bool:
        """Whether arrays are shuffled."""
        return bool(getattr(self._iterator.data_adapter, "_shuffle", False))

    @property
    def source(self) -> Any:
        """The object of the user that gives the batches; None for arrays and generators."""
        held = vars(self._iterator.data_adapter)
        names = ("py_dataset", "_dataloader", "_dataset")
        return next((held[name] for name in names if name in held), None)

    @property
    def prepared(self) -> queue.Queue[Any] | None:
        """The batches that workers made ahead of the next epoch; None without workers."""
        enqueuer = getattr(self._iterator.data_adapter, "enqueuer", None)
        if enqueuer is None:
            return None
        found: queue.Queue[Any] = required(enqueuer, "ready_queue")
        return found

    @property
    def element_spec(self) -> Any:
        """The form of a batch on TensorFlow, where a model may be built by its first step."""
        return required(self._iterator, "_distributed_dataset").element_spec


def build_for(model: Any, iterator: EpochIterator) -> None:
    """Make all variables of `model`, those of its optimizer and metrics included."""
    if keras.backend.backend() == "tensorflow":
        # The other trainers have done so before the callbacks are called.
        required(model, "_symbolic_build")(data_batch=iterator.element_spec)


def start_at_epoch(model: Any, epoch: int | None) -> None:
    """Have the `fit` that has begun start at `epoch`, counted from 0; None for its own."""
    required(model, "_initial_epoch")
    model._initial_epoch = epoch


@contextlib.contextmanager
def epoch_of_backup(callback: Any, is_saved: Callable[[], bool]) -> Iterator[None]:
    """Inside the block, `BackupAndRestore` writes the number of its epoch to a file beside its own.

    At the end the file is put in the place of its own if it has changed and `is_saved()`.

    Private: the callback has no other place to say where that file is.
    """
    there = required(callback, "_training_metadata_path")
    if "://" in there:  # not a file of this machine
        yield
        return
    new = Path(f"{there}.new")
    try:
        with in_errors(there, new):
            with contextlib.suppress(FileNotFoundError):
                # The callback may keep a second backup, which it makes of the first.
                shutil.copy(there, new)
            before = new.read_bytes() if new.exists() else b""
            callback._training_metadata_path = str(new)
            yield
            if new.exists() and is_saved() and new.read_bytes() != before:
                put(new, Path(there))
    finally:
        callback._training_metadata_path = there
        # Its own error would take the place of that of the block.
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)
