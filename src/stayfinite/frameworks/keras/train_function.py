"""The guarded train function: whether a subject can have one, and when its flags are read.

Inside an epoch of `fit` flags are read late, so that the host does not wait for the device. At the
end of an epoch and outside `fit` they are read at once.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any

from stayfinite.errors import CannotGuardError
from stayfinite.frameworks import base
from stayfinite.frameworks.base import GuardedFunction, OnBad
from stayfinite.frameworks.keras.subjects import KerasModel
from stayfinite.frameworks.recorder import Flag, Recorder
from stayfinite.frameworks.state import State
from stayfinite.frameworks.subject import Subject


def attach(subject: Subject, recorder: Recorder, on_bad: OnBad) -> GuardedFunction:
    """The train function of `subject` with the sentinel inside; see `Backend.attach`.

    A train function of the user's own is not guarded: it may change the state in ways that the
    guard cannot undo.

    Raises:
        CannotGuardError: the model brings its own train function, or attaching failed.
    """
    if isinstance(subject, KerasModel):
        _require_functions_of_keras(subject.model)
    try:
        return base.current().attach(subject, recorder, on_bad)
    except CannotGuardError:
        raise
    except Exception as error:
        raise CannotGuardError(
            f"the guard cannot attach to {subject.kind}: {type(error).__name__}: {error}"
        ) from error


def _require_functions_of_keras(model: Any) -> None:
    if not _is_by_keras(type(model).make_train_function):
        raise CannotGuardError(
            f"{type(model).__name__} overrides make_train_function, so the guard cannot attach; "
            "override train_step instead"
        )
    if model.train_function is not None and not _is_by_keras(model.train_function):
        raise CannotGuardError(
            f"{type(model).__name__} has a train_function of its own, so the guard cannot attach; "
            "override train_step instead"
        )


def _is_by_keras(function: Any) -> bool:
    module = str(getattr(function, "__module__", None) or type(function).__module__)
    return module.partition(".")[0] in ("keras", "stayfinite")


class GuardedTrainFunction(abc.ABC):
    """Base of the function that takes the place of the train function of a subject.

    A framework calls `enter` before a step and `expect` after it, and hands the last good state to
    `on_bad` in `stop`.
    """

    def __init__(self, subject: Subject, recorder: Recorder, on_bad: OnBad) -> None:
        self._subject = subject
        self._recorder = recorder
        self._on_bad = on_bad
        self._first_step = recorder.num_steps
        self._epoch_begins = False
        self._first_of_epoch = False
        self._epoch_source: Any = None
        self._in_epoch = False

    def begin_epoch(self) -> None:
        """The next call is the first of an epoch: flags may be read late until `end_epoch`."""
        self._epoch_begins = True

    def end_epoch(self) -> None:
        """End the epoch: read every flag now."""
        self._epoch_begins, self._epoch_source = False, None
        self.poll(wait=True)

    def enter(self, source: Any) -> None:
        """Begin a step. `source` is the same object for all steps of an epoch."""
        self._first_of_epoch = self._epoch_begins
        if self._epoch_begins:
            self._epoch_begins, self._epoch_source = False, source
        # After an exception in `fit`, `end_epoch` is not called; the next call has another source.
        self._in_epoch = source is self._epoch_source
        if not self._in_epoch:
            self._epoch_source = None
            self._recorder.begin_epoch(None)

    def remember(self, num_bytes: Callable[[], int], copy: Callable[[], State]) -> None:
        """Keep a copy of the state before the step that begins, if one is due; after `enter`."""
        self._recorder.snapshots.take(
            self._recorder.num_steps,
            # Outside an epoch the host waits for each step anyway, so a copy adds no wait.
            first_of_epoch=self._first_of_epoch or not self._in_epoch,
            num_bytes=num_bytes,
            copy=copy,
        )

    def expect(self, flag: Flag) -> None:
        """Queue the flag of the last steps; `flag` counts from `first_step` of the sentinel."""
        self._recorder.expect(_Offset(flag, self._first_step))
        if not self._in_epoch:
            self.poll(wait=True)

    def poll(self, *, wait: bool) -> None:
        """Read the flags that are ready; with `wait`, all of them."""
        step = self._recorder.first_bad(wait=wait)
        if step is not None:
            self._first_step = step + 1
            self.stop(step)

    @abc.abstractmethod
    def stop(self, step: int) -> None:
        """Set the model to the last good state, begin a new sentinel, and call `on_bad`."""


class _Offset:
    """A flag in steps of the whole script, from one in steps since the sentinel was made."""

    def __init__(self, flag: Flag, first_step: int) -> None:
        self._flag = flag
        self._first_step = first_step

    def is_ready(self) -> bool:
        return bool(self._flag.is_ready())

    def __int__(self) -> int:
        bad = int(self._flag)
        return bad if bad < 0 else bad + self._first_step
