"""One model under guard: its recorder, its compiled sentinel, and what happens at a bad step."""

from __future__ import annotations

import math
import warnings
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stayfinite.errors import CannotGuardError, NonFiniteError
from stayfinite.frameworks.failure import Failure
from stayfinite.frameworks.keras.attaching import attach
from stayfinite.frameworks.keras.sample_files import files_of
from stayfinite.frameworks.recorder import Recorder
from stayfinite.incident import Incident

_WATCHES: weakref.WeakKeyDictionary[Any, Watch] = weakref.WeakKeyDictionary()
_ADOPTERS: list[Callable[[Watch], None]] = []


class Watch:
    """The guard of one model, for as long as the model lives.

    `listeners` are told of every incident before `NonFiniteError` is raised; `say` takes a line
    for the user about what is no incident.
    """

    def __init__(self, model: Any, keep: Path, script: str | None) -> None:
        self.recorder = Recorder()
        self.keep = keep
        self.script = script
        self.listeners: list[Callable[[Incident], None]] = []
        self.say: Callable[[str], None] = _warn
        # Whether a training that the guard cannot attach to may run without it.
        self.unguarded_ok = False
        # Weak, both: a watch lives as long as its model, and must not be what keeps it alive.
        self._model = weakref.ref(model)
        self._function: Callable[[], Any] = lambda: None
        self._arming = False
        self._refused = False
        self._epoch: int | None = None

    def arm(self) -> None:
        """Put the sentinel into the model's train function, if it is not in it now.

        Raises:
            CannotGuardError: it cannot be put there, and nobody said that this may be.
        """
        if self._arming or self._refused:
            return
        self._arming = True
        try:
            function = attach(self._model(), self.recorder, self._on_bad)
            self._function = weakref.ref(function)
        except CannotGuardError as error:
            if not self.unguarded_ok:
                raise
            self._refused = True
            self.say(f"{error}; this training runs unguarded")
        finally:
            self._arming = False

    def begin_epoch(self, epoch: int) -> None:
        """`fit` begins an epoch, counted from 0: flags may be read late until `end_epoch`."""
        self._epoch = epoch
        self.recorder.begin_epoch(epoch)
        function = self._function()
        if function is not None:
            function.begin_epoch()

    def end_epoch(self) -> None:
        """Read every flag of the epoch, so that nothing is saved or validated on a bad one."""
        self.recorder.begin_epoch(None)
        function = self._function()
        if function is not None:
            function.end_epoch()

    def end_training(self) -> None:
        """`fit` is over: what is evaluated now belongs to no epoch."""
        self._epoch = None

    def end_evaluation(self, loss: float) -> None:
        """An evaluation is over: a non-finite loss is told, and nothing else is done about it."""
        if not math.isfinite(loss):
            epoch = self._epoch
            when = "the evaluation" if epoch is None else f"the validation after epoch {epoch}"
            self.say(
                f"the loss of {when} is {loss}; the weights were left as they are, and look for "
                "non-finite or extreme values in the data of the evaluation first"
            )

    def _on_bad(self, state: Any, step: int, rerun: Callable[[Any], bool]) -> None:
        # Imported here: a training that stays finite never pays for the explanation's code.
        from stayfinite.explanation import explain_failure
        from stayfinite.report import text

        bad, healthy = self.recorder.take(step)
        self.end_epoch()
        failure = Failure(
            model=self._model(),
            state=state,
            bad=bad,
            healthy=healthy,
            snapshots=self.recorder.snapshots.all(),
            rerun=lambda: rerun(bad.data),
            files=lambda: files_of(bad.data, bad.batch),
            keep=self.keep,
            script=self.script,
        )
        incident = explain_failure(failure)
        for listener in self.listeners:
            listener(incident)
        raise NonFiniteError(text.render(incident), incident)


def _warn(text: str) -> None:
    warnings.warn(text, RuntimeWarning, stacklevel=3)


def watch_of(model: Any, keep: Path, script: str | None) -> Watch:
    """The one watch of `model`; made on the first call."""
    if model not in _WATCHES:
        _WATCHES[model] = new_watch(model, keep, script)
    return _WATCHES[model]


def new_watch(model: Any, keep: Path, script: str | None) -> Watch:
    """A watch, shown to all that want to see every one."""
    watch = Watch(model, keep, script)
    for adopt in _ADOPTERS:
        adopt(watch)
    return watch


def adopt_each(adopt: Callable[[Watch], None]) -> None:
    """Call `adopt` with every watch from here on."""
    _ADOPTERS.append(adopt)
