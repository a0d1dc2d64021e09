"""The JAX backend behind the seam of `backends.base`."""

from __future__ import annotations

from importlib import metadata
from typing import Any

import jax

from stayfinite.frameworks.failure import Failure
from stayfinite.frameworks.jax import guard, loop
from stayfinite.frameworks.jax.step import JaxStep
from stayfinite.frameworks.recorder import Recorder
from stayfinite.frameworks.step import Step


class JaxBackend:
    """See `backends.base.Backend`."""

    name = "jax"

    def attach(self, model: Any, recorder: Recorder, on_bad: Any) -> Any:
        """See `Backend.attach`."""
        return guard.attach(model, recorder, on_bad)

    def step(self, failure: Failure) -> Step:
        """See `Backend.step`."""
        return JaxStep(failure.model, failure.state, failure.bad.data)

    def plain(self, step: Any) -> Any:
        """See `Backend.plain`."""
        return loop.plain(step)

    def prepare(self, given: Any, step: Any) -> None:
        """See `Backend.prepare`."""
        given.compile = loop.compiled

    def one_batch(self, batch: Any) -> Any:
        """See `Backend.one_batch`."""
        return iter([batch])

    def versions(self) -> dict[str, str]:
        """See `Backend.versions`."""
        return {name: metadata.version(name) for name in ("jax", "jaxlib", "keras", "numpy")}

    def device(self) -> str:
        """See `Backend.device`."""
        device = jax.devices()[0]
        return f"{device.platform}: {device.device_kind}"


BACKEND = JaxBackend()
