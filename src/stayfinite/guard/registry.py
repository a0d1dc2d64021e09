"""The watch of each model, and the session that adopts new watches."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from stayfinite.errors import UsageError
from stayfinite.frameworks.obstacles import WhyNot
from stayfinite.frameworks.subject import Subject
from stayfinite.guard.bad_steps import BadSteps
from stayfinite.guard.watch import Watch

if TYPE_CHECKING:
    import keras


class Adopter(Protocol):
    """A session that takes over new watches."""

    def adopt(self, watch: BadSteps) -> None:
        """Set what the session decides: folder, script, notices, listeners."""
        ...

    def left_alone(self, name: str, why: WhyNot | str) -> None:
        """Say that the step `name()` of a hand-written loop is not guarded."""
        ...


class Registry:
    """The watches of this process, one a model until the model is deleted.

    A watch outlives the `Guard` of one `fit`: it counts the steps of all. At most one session at a
    time adopts the watches that are made.
    """

    def __init__(self) -> None:
        self._watches: weakref.WeakKeyDictionary[keras.Model, Watch] = weakref.WeakKeyDictionary()
        self._all: weakref.WeakSet[Watch] = weakref.WeakSet()
        self._adopter: Adopter | None = None

    def watch_of(self, model: keras.Model, keep: Path, script: str | None) -> Watch:
        """The one watch of `model`; made on the first call."""
        # Imported here, because a training without Keras has a watch, too.
        from stayfinite.frameworks.keras.model_subject import KerasModel

        if model not in self._watches:
            self._watches[model] = self.new_watch(KerasModel(model, weak=True), keep, script)
        return self._watches[model]

    def new_watch(self, subject: Subject, keep: Path, script: str | None) -> Watch:
        """A watch that belongs to the caller, adopted by the session if there is one."""
        watch = Watch(subject, keep, script, self._rebuild_all)
        self._all.add(watch)
        self.adopt(watch)
        return watch

    def adopt(self, steps: BadSteps) -> None:
        """Have the session adopt `steps`, if there is one."""
        if self._adopter is not None:
            self._adopter.adopt(steps)

    def left_alone(self, name: str, why: WhyNot | str) -> None:
        """Have the session, if there is one, say that a step is not guarded."""
        if self._adopter is not None:
            self._adopter.left_alone(name, why)

    def _rebuild_all(self) -> None:
        for watch in list(self._all):
            watch.rebuild()

    def release(self) -> None:
        """Give each model a train function without the sentinel at its next step."""
        for watch in list(self._watches.values()):
            watch.release()

    def begin_session(self, adopter: Adopter) -> None:
        """Have `adopter` adopt every watch that is made until `end_session`.

        A session may begin once for Keras and once for loops of JAX.

        Raises:
            UsageError: another session is at work.
        """
        if self._adopter not in (None, adopter):
            raise UsageError("a session guards this process already; close it first")
        self._adopter = adopter

    def end_session(self) -> None:
        """Adopt no further watch; those of the session stay as they are."""
        self._adopter = None


# A model has no reference to an earlier `Guard`, so the process has one registry.
REGISTRY = Registry()
