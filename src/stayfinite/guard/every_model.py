"""Hooks in Keras by which every `keras.Model` that trains is guarded, in an unchanged program."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stayfinite.frameworks import base
from stayfinite.frameworks.keras import creation
from stayfinite.frameworks.keras.model_subject import IS_MAKING
from stayfinite.guard.callback import Guard
from stayfinite.guard.keras_steps import guard_steps
from stayfinite.guard.registry import REGISTRY, Adopter
from stayfinite.saving.guarded import make_files_safe


class EveryModel:
    """Hooks in Keras that guard each `fit` and each `train_on_batch`.

    The hooks return before a step begins, so no frame of stayfinite is between the user's code
    and Keras when the user's own exception passes through `fit`.

    Args:
        adopter: Adopts the watch of each model.
        new_guard: Makes the callback of a `fit` that has no `Guard` of its own.
        keep: Folder for the incidents of a model without one.
        script: The script as the user named it, for the incidents.
    """

    def __init__(
        self,
        adopter: Adopter,
        new_guard: Callable[[], Guard],
        keep: Path,
        script: str | None = None,
    ) -> None:
        self._adopter = adopter
        self._new_guard = new_guard
        self._keep = keep
        self._script = script
        self._unhook: list[Callable[[], None]] = []

    def install(self) -> None:
        """Hook the training of every model.

        Raises:
            CannotGuardError: stayfinite has no backend for the Keras backend in use.
            UsageError: another session is installed.
        """
        import keras

        base.current()
        creation.record()
        REGISTRY.begin_session(self._adopter)
        self._unhook.append(make_files_safe(self))
        self._unhook.append(guard_steps(keras.backend.backend(), self._keep))
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

    def release(self) -> None:
        """Give each guarded model a train function without the sentinel at its next step."""
        REGISTRY.release()

    def _hook_callbacks(self, owner: Any) -> None:
        plain = owner.set_model

        @functools.wraps(plain)
        def set_model(callbacks: Any, model: Any) -> None:
            if model is not None:
                self._guard(callbacks.callbacks)
            plain(callbacks, model)

        owner.set_model = set_model
        self._unhook.append(lambda: setattr(owner, "set_model", plain))

    def _guard(self, callbacks: list[Any]) -> None:
        """Add a guard to the callbacks of a `fit`, if none is there."""
        own = [callback for callback in callbacks if isinstance(callback, Guard)]
        new = self._new_guard()
        for guard in own:
            guard.log |= new.log
        if not own:
            # The callbacks after it get what it logs.
            callbacks.insert(0 if new.log else len(callbacks), new)

    def _hook_train_function(self, owner: Any) -> None:
        plain = owner.make_train_function

        @functools.wraps(plain)
        def make_train_function(model: Any, force: bool = False) -> None:
            plain(model, force)
            if not IS_MAKING.get():
                REGISTRY.watch_of(model, self._keep, self._script).arm()

        owner.make_train_function = make_train_function
        self._unhook.append(lambda: setattr(owner, "make_train_function", plain))
