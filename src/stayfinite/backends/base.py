"""The seam between the house and the frameworks: what a backend can do, and which one is in use."""

from __future__ import annotations

import importlib
from typing import Any, Protocol

from stayfinite.errors import UsageError
from stayfinite.guard.failure import Failure
from stayfinite.guard.recorder import Recorder
from stayfinite.replay.step import Step


class Backend(Protocol):
    """One framework. Each folder beside this file has a `backend.py` that holds one."""

    name: str

    def attach(self, model: Any, recorder: Recorder, on_bad: Any) -> Any:
        """Put the sentinel into the model's train function and return that function."""
        ...

    def step(self, failure: Failure) -> Step:
        """The failing step as a value that can be run again."""
        ...

    def versions(self) -> dict[str, str]:
        """Package names and versions that the values of a step depend on."""
        ...

    def device(self) -> str:
        """The device that the step ran on, in words."""
        ...


def current() -> Backend:
    """The backend that Keras uses in this process.

    Raises:
        UsageError: stayfinite has no backend for it.
    """
    import keras

    name = keras.backend.backend()
    try:
        module = importlib.import_module(f"stayfinite.backends.{name}.backend")
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith("stayfinite.backends"):
            raise
        raise UsageError(
            f"trainings on the Keras backend {name!r} cannot be guarded yet; set KERAS_BACKEND=jax"
        ) from None
    backend: Backend = module.BACKEND
    return backend
