"""`stayfinite.SafeCheckpoint`: checkpoints from which a `fit` goes on, bit-identical."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Collection
from pathlib import Path
from typing import Any

import keras

from stayfinite.errors import UsageError
from stayfinite.frameworks.keras import private_epochs, running_fit
from stayfinite.frameworks.keras.batch_listeners import ReadsNoLogs
from stayfinite.frameworks.keras.epochs import DataPlace, Epochs
from stayfinite.frameworks.recording.notices import notify
from stayfinite.frameworks.train_function import GuardedTrainFunction
from stayfinite.report.wording import checkpoints as notices
from stayfinite.saving import checkpoint_files, training_state
from stayfinite.saving.bad_ends import BadEndListener
from stayfinite.saving.callback_state import CallbackStates
from stayfinite.saving.checkpoint_files import BadCheckpoint, Checkpoint

# A bad step so soon after a checkpoint may come of its numbers.
_AT_ONCE = 8
# The model whose `fit` has ended in this process, for each directory.
_ENDED: dict[Path, weakref.ref[Any]] = {}


class SafeCheckpoint(keras.callbacks.Callback, BadEndListener, ReadsNoLogs):
    """Saves the whole training every `every` steps, and goes on from there after a crash.

    A checkpoint has the weights, the variables of the optimizer, the moving statistics, the loss
    scale, the seeds, the metrics, the random states of Python, NumPy, PyTorch and Keras, the place
    in the data, and the state of the other callbacks. It gets its name when all of it is written,
    and it has checksums. A state that is not finite is not written. No pickle is used.

    A `fit` that finds a checkpoint goes on from it. If the script is the same and sets its seeds,
    the result is bit-identical to that of an uninterrupted `fit`. One line on stderr names the
    checkpoint. In place of a damaged one, the one before it is used, and so it is in place of one
    that a bad step of a guarded training seems to come from (docs/checkpoints.md). The last
    checkpoint is saved at the end, so that a finished `fit` is not repeated. Use one directory for
    each `fit`.

    A `RuntimeWarning` at the beginning names what cannot be repeated, such as the position of a
    generator.

    Args:
        directory: Folder of the checkpoints. It is made when it is needed.
        every: Steps between two checkpoints, at least 1.
        keep: How many of the newest are kept, at least 1.

    Raises:
        UsageError: for other values; in `fit`, for the checkpoint of another model, or of an equal
            one with other initial weights whose `fit` has ended in this process.

    Example:

    ```python
    model.fit(x, y, callbacks=[stayfinite.SafeCheckpoint("checkpoints")])
    ```
    """

    def __init__(self, directory: str | Path, *, every: int = 500, keep: int = 3) -> None:
        super().__init__()
        for name, value in (("every", every), ("keep", keep)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise UsageError(f"{name}={value!r}: pass a whole number of 1 or more")
        self.directory, self.every, self.keep = Path(directory), every, keep
        if self.directory.exists() and not self.directory.is_dir():
            raise UsageError(f"{directory} is a file: pass a folder, or a path that is free")
        self._found: Checkpoint | None = None
        self._unsure: Checkpoint | None = None

    def set_model(self, model: Any) -> None:
        """Take the model from Keras, without the `model` property of the base class."""
        super().set_model(model)
        # Kept, because on JAX the property `model` writes the whole state back.
        self._trained = model

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Look for a checkpoint, and begin to follow the data.

        Raises:
            UsageError: it is one of another model, or this is no `fit` of Keras.
        """
        iterator = private_epochs.epoch_iterator_at_work()
        callbacks = running_fit.callbacks_at_work()
        if iterator is None or callbacks is None:
            raise UsageError("SafeCheckpoint was not called by fit; pass it to fit as a callback")
        self._iterator, self._unsure = iterator, None
        self._step = self._saved_step = 0
        self._others = [other for other in callbacks.callbacks if other is not self]
        self._states: CallbackStates | None = None
        self._found = self._newest_good()
        start = epoch = None
        if self._found is not None:
            private_epochs.build_for(self._trained, iterator)
            training_state.require_same_model(self._found, self._trained, self.directory)
        self._began_with = training_state.fingerprint(self._trained)
        if self._found is not None:
            self._require_same_beginning(self._found)
            start, epoch = training_state.place_of(self._found), self._begin_at(self._found)
            self._step = self._saved_step = self._found.step
            if self._found.facts["ended"]:
                training_state.put_variables_back(self._found, self._trained)
        self._first_step = self._step
        private_epochs.start_at_epoch(self._trained, epoch)
        self._epochs = Epochs(iterator, self._save_if_due, self._put_back, start)
        not_exact = self._epochs.not_exact()
        if not_exact is not None:
            _warn(notices.not_exact(not_exact))

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Note the epoch."""
        self._follow_callbacks()  # now that each has begun
        private_epochs.start_at_epoch(self._trained, None)  # for a `fit` after this one
        self._epochs.epoch = epoch
        if self._found is not None and self._found.facts["ended"]:
            # This `fit` has more epochs than the one that ended: its callbacks go on.
            training_state.put_callbacks_back(self._found, self._states_of_others)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Count the step, and write the checkpoint that waited for its end."""
        self._step += self._iterator.steps_per_execution
        waiting, self._unsure = self._unsure, None
        if waiting is not None:
            self._write(waiting)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Save the final state, or restore that of a training that had ended."""
        found, self._found = self._found, None
        self._follow_callbacks()
        private_epochs.start_at_epoch(self._trained, None)
        _ENDED[self.directory.absolute()] = weakref.ref(self._trained)
        if found is not None:
            training_state.put_variables_back(found, self._trained)
            training_state.put_callbacks_back(found, self._states_of_others)
        elif self._step > self._first_step:
            self._write(self._taken(self._epochs.place_after_end(), ended=True))

    def _require_same_beginning(self, checkpoint: Checkpoint) -> None:
        """Refuse a model of another training, which may be equal except for its initial weights."""
        before, now = checkpoint.facts.get("began_with"), self._began_with
        ended = _ENDED.get(self.directory.absolute())
        is_same_model = ended is not None and ended() is self._trained
        self._began_with = before
        if is_same_model or before is None or now is None or before == now:
            return
        if ended is not None:
            raise UsageError(
                f"{self.directory} has the checkpoints of a fit that has ended in this process, of "
                "a model with other initial weights; pass another directory for each fit"
            )
        _warn(notices.other_beginning(self.directory))

    def _follow_callbacks(self) -> None:
        if self._states is None:
            self._states = CallbackStates(self._others)

    @property
    def _states_of_others(self) -> CallbackStates:
        assert self._states is not None
        return self._states

    def ended_by_bad_step(self, num_before: int) -> None:
        """Mark the last checkpoint, if the bad step came at once after it and may come of it.

        That is so if this `fit` has gone on from it, or if it has an extreme number.
        """
        bad_step = self._first_step + num_before
        if not 0 <= bad_step - self._saved_step < _AT_ONCE:
            return
        path = checkpoint_files.path_of(self.directory, self._saved_step)
        try:
            is_suspect = self._saved_step == self._first_step or training_state.has_extremes(
                checkpoint_files.read(path)
            )
            if is_suspect:
                checkpoint_files.mark(path, bad_step)
        except BadCheckpoint:
            return  # it is left out without a mark
        except OSError as error:
            _warn(notices.not_marked(path, error))

    def _newest_good(self) -> Checkpoint | None:
        """The checkpoint to go on from; None to begin at the beginning.

        That is the newest one without a mark. Where each has one, the beginning counts as the one
        before the first; if that is long gone, the newest is used.
        """
        marked: list[Path] = []
        for path in checkpoint_files.newest_first(self.directory):
            if checkpoint_files.is_marked(path):
                _say(notices.had_bad_step(path))
                marked.append(path)
                continue
            checkpoint = _read(path)
            if checkpoint is not None:
                return checkpoint
        found = [checkpoint for checkpoint in map(_read, marked) if checkpoint is not None]
        if not found:
            return None
        if found[-1].step <= self.every:
            _say(notices.begins_again())
            return None
        _say(notices.newest_after_all())
        return found[0]

    def _begin_at(self, checkpoint: Checkpoint) -> int:
        """The epoch at which the `fit` begins; the number of epochs for a training that ended."""
        facts, epochs = checkpoint.facts, int(self.params["epochs"])
        epoch = int(facts["epoch"])
        if facts["stopped"] or epoch >= epochs:
            _say(notices.had_ended(self.directory, checkpoint.step, epoch, epochs))
            return max(epochs, 1)
        calls = int(facts["calls"])
        _say(notices.goes_on(self.directory, checkpoint.step, epoch, epochs, calls))
        return epoch

    def _save_if_due(self, is_sure: bool) -> None:
        """Called between two steps, when the callbacks of the last one are done."""
        self._unsure = None
        if self._step - self._saved_step < self.every:
            return
        function = self._trained.train_function
        if isinstance(function, GuardedTrainFunction):
            function.read_flags()  # a bad step ends the training here
        checkpoint = self._taken(self._epochs.place(), ended=False)
        if is_sure:
            self._write(checkpoint)
        else:
            # The data may be at its end, and then this is no place between two steps.
            self._unsure = checkpoint

    def _taken(self, place: DataPlace, *, ended: bool) -> Checkpoint:
        # The property `model` writes the state of JAX back.
        return training_state.taken(
            self.model,
            place,
            self._step,
            self._states_of_others,
            began_with=self._began_with,
            ended=ended,
            stopped=ended and bool(self._trained.stop_training),
        )

    def _write(self, checkpoint: Checkpoint) -> None:
        self._saved_step = checkpoint.step
        bad = training_state.not_finite(checkpoint, self._trained)
        if bad is not None:
            _warn(notices.not_finite(self.directory, checkpoint.step, bad))
            return
        try:
            checkpoint_files.write(self.directory, checkpoint, self.keep)
        except OSError as error:
            _warn(notices.not_written(self.directory, checkpoint.step, error))

    def _put_back(self, drawn_from: Collection[str]) -> None:
        """Called where the `fit` goes on, when the callbacks of its epoch have begun."""
        found, self._found = self._found, None
        if found is not None and not found.facts["ended"]:
            training_state.put_variables_back(found, self._trained)
            training_state.put_callbacks_back(found, self._states_of_others, drawn_from)


def _read(path: Path) -> Checkpoint | None:
    try:
        return checkpoint_files.read(path)
    except BadCheckpoint as error:
        _say(notices.not_whole(path, error))
        return None


def _say(text: str) -> None:
    print(f"SafeCheckpoint: {text}", file=sys.stderr, flush=True)


def _warn(text: str) -> None:
    notify(f"SafeCheckpoint: {text}")
