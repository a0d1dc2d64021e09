"""`stayfinite run`: every model of a script under guard, and what happened to them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stayfinite.frameworks import base
from stayfinite.frameworks.keras import creation
from stayfinite.frameworks.recorder import StepCount
from stayfinite.guard.callback import Guard
from stayfinite.guard.policy import Policy
from stayfinite.guard.registry import REGISTRY
from stayfinite.guard.watch import Watch
from stayfinite.incident import Incident
from stayfinite.saving.guarded import make_files_safe


class GuardSession:
    """Guards each `keras.Model` that trains after `install`.

    The hooks return before a step begins, so no frame of stayfinite is between the user's code
    and Keras when the user's own exception passes through `fit`.

    Args:
        policy: For each model; a `Guard` of the script with another policy than "stop" has its own.
        keep: Folder for incidents and last good weights.
        script: The script as the user named it, for the incidents.
        say: Called with a one-line notice that is not an incident.
        unguarded_ok: Whether a training that the guard cannot attach to runs without it, after
            saying so. If not, it ends with a `CannotGuardError`.
    """

    def __init__(
        self,
        policy: Policy,
        keep: Path,
        script: str | None,
        say: Callable[[str], None],
        unguarded_ok: bool = False,
    ) -> None:
        self.policy = policy
        self.keep = keep
        self.script = script
        self.say = say
        self.unguarded_ok = unguarded_ok
        self.incidents: list[Incident] = []
        # Not the watches themselves, so that the models of a script can be freed.
        self._counts: list[StepCount] = []
        self._unhook: list[Callable[[], None]] = []

    @property
    def num_steps(self) -> int:
        """Training steps that the script's models have made so far."""
        return sum(count.num_steps for count in self._counts)

    def install(self) -> None:
        """Hook the training of every model. Called once Keras is imported.

        Raises:
            CannotGuardError: stayfinite has no backend for the Keras backend in use.
            UsageError: another session is installed.
        """
        import keras

        base.current()
        creation.record()
        REGISTRY.begin_session(self)
        self._unhook.append(make_files_safe(self))
        self._hook_callbacks(keras.callbacks.CallbackList)
        for owner in keras.Model.__mro__:
            if "make_train_function" in vars(owner):
                self._hook_train_function(owner)
                return

    def close(self) -> None:
        """Remove the hooks. Guarded models stay guarded."""
        REGISTRY.end_session()
        while self._unhook:
            self._unhook.pop()()

    def adopt(self, watch: Watch) -> None:
        """Make `watch` one of this session."""
        watch.keep, watch.script = self.keep, self.script
        watch.say, watch.unguarded_ok = self.say, self.unguarded_ok
        watch.measures.policy = self.policy
        watch.listeners.append(self.incidents.append)
        self._counts.append(watch.recorder.count)

    def _guard(self) -> Guard:
        policy = self.policy
        return Guard(policy.name, keep=self.keep, max_bad_steps=policy.max_bad_steps)

    def _hook_callbacks(self, owner: Any) -> None:
        plain = owner.set_model

        @functools.wraps(plain)
        def set_model(callbacks: Any, model: Any) -> None:
            if model is not None and not any(isinstance(c, Guard) for c in callbacks.callbacks):
                callbacks.callbacks.append(self._guard())
            plain(callbacks, model)

        owner.set_model = set_model
        self._unhook.append(lambda: setattr(owner, "set_model", plain))

    def _hook_train_function(self, owner: Any) -> None:
        plain = owner.make_train_function

        @functools.wraps(plain)
        def make_train_function(model: Any, force: bool = False) -> None:
            plain(model, force)
            REGISTRY.watch_of(model, self.keep, self.script).arm()

        owner.make_train_function = make_train_function
        self._unhook.append(lambda: setattr(owner, "make_train_function", plain))
