"""The seam between the house and the frameworks: what a backend can do, and which one is in use."""

from __future__ import annotations

import importlib
from typing import Any, Protocol

from stayfinite.errors import CannotGuardError
from stayfinite.frameworks.failure import Failure
from stayfinite.frameworks.recorder import Recorder
from stayfinite.frameworks.step import Step


class Backend(Protocol):
    """One framework. Each folder beside this file has a `backend.py` that holds one."""

    name: str

    def attach(self, model: Any, recorder: Recorder, on_bad: Any) -> Any:
        """Put the sentinel into the model's train function and return that function."""
        ...

    def step(self, failure: Failure) -> Step:
        """The failing step as a value that can be run again."""
        ...

    def plain(self, step: Any) -> Any:
        """A step function of the user's own without the compiler that it was given to."""
        ...

    def prepare(self, loop: Any, step: Any) -> None:
        """Give a `guard.subject.Loop` what this framework's train function asks of a model.

        It is to be compiled as the user's `step` was.
        """
        ...

    def one_batch(self, batch: Any) -> Any:
        """A single batch as a train function takes it."""
        ...

    def versions(self) -> dict[str, str]:
        """Package names and versions that the values of a step depend on."""
        ...

    def device(self) -> str:
        """The device that the step ran on, in words."""
        ...


OLDEST_KERAS = (3, 15)
_in_use: str | None = None


def current() -> Backend:
    """The backend that Keras uses in this process.

    Raises:
        CannotGuardError: stayfinite has no backend for it, Keras is too old, or it ran on another
            backend before in this process.
    """
    import keras

    _require_keras(keras.__version__)
    name = keras.backend.backend()
    _require_one_backend(name)
    try:
        module = importlib.import_module(f"stayfinite.frameworks.{name}.backend")
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith("stayfinite.frameworks"):
            raise
        raise CannotGuardError(
            f"trainings on the Keras backend {name!r} cannot be guarded; "
            "set KERAS_BACKEND to jax, tensorflow or torch"
        ) from None
    backend: Backend = module.BACKEND
    return backend


def _require_keras(version: str) -> None:
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_KERAS:
        raise CannotGuardError(
            f"Keras {version} is installed and {'.'.join(map(str, OLDEST_KERAS))} or later is "
            "needed; run pip install --upgrade keras"
        )


def _require_one_backend(name: str) -> None:
    global _in_use
    if _in_use not in (None, name):
        raise CannotGuardError(
            f"Keras ran on the backend {_in_use!r} before in this process and now runs on "
            f"{name!r}; one process can hold one backend, so start another for the second"
        )
    _in_use = name
