"""What explains a bad step of JAX, with Keras or without."""

from __future__ import annotations

from abc import ABC, abstractmethod

import jax

from stayfinite.frameworks.batch import Batch
from stayfinite.frameworks.failure import Failure
from stayfinite.frameworks.jax import devices
from stayfinite.frameworks.step import Step
from stayfinite.frameworks.subject import Subject


class JaxFramework(ABC):
    """The part of a `base.Framework` that is the same for every step of JAX."""

    name = "jax"

    @abstractmethod
    def batch(self, subject: Subject, data: object) -> Batch:
        """The data of a step with a name for each array."""

    def step(self, failure: Failure) -> Step:
        """The failing step, traced."""
        # Imported here because a finite training does not need it.
        from stayfinite.frameworks.jax.step import JaxStep

        batch = self.batch(failure.subject, failure.bad.data)
        return JaxStep.of(failure.subject, failure.state, batch)

    def has_float64(self) -> bool:
        """Whether a program may compute in float64, which is a setting of JAX."""
        return bool(jax.config.jax_enable_x64)

    def device(self) -> str:
        """Platform and kind of the first device."""
        device = jax.devices()[0]
        return f"{device.platform}: {device.device_kind}"

    def other_devices(self) -> list[str]:
        """The second device, and the CPU beside a GPU."""
        return [devices.name_of(device) for device in devices.others()]
