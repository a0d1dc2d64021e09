"""JAX without Keras, as what a bad step is explained with."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import metadata

import jax
import numpy as np

from stayfinite.frameworks.batch import Batch, BatchArray
from stayfinite.frameworks.failure import Failure
from stayfinite.frameworks.jax import devices
from stayfinite.frameworks.jax.plain.subject import PlainJax
from stayfinite.frameworks.jax.plain.values import StepData
from stayfinite.frameworks.state import Tensor
from stayfinite.frameworks.step import Step
from stayfinite.frameworks.subject import Subject

_PACKAGES = ("jax", "jaxlib", "optax", "flax", "equinox", "numpy")


class PlainJaxFramework:
    """The `base.Framework` of steps without Keras."""

    name = "jax"

    def step(self, failure: Failure) -> Step:
        """The failing step, traced."""
        # Imported here because a finite training does not need it.
        from stayfinite.frameworks.jax.step import JaxStep

        batch = self.batch(failure.subject, failure.bad.data)
        return JaxStep.of(failure.subject, failure.state, batch)

    def batch(self, subject: Subject, data: object) -> Batch:
        """The arrays of a call that are not of its state."""
        assert isinstance(subject, PlainJax) and isinstance(data, StepData)
        form = data.form
        values = zip(subject.batch_leaves(data), data.arrays, strict=True)
        leaves = tuple(
            BatchArray(leaf.role, leaf.name, value, leaf.has_samples) for leaf, value in values
        )

        def pack(arrays: Sequence[Tensor]) -> object:
            return StepData(tuple(arrays), form)

        return Batch(data, leaves, pack, np.asarray)

    def versions(self) -> dict[str, str]:
        """Of JAX, NumPy, and the libraries of steps that are installed."""
        found = {}
        for name in _PACKAGES:
            try:
                found[name] = metadata.version(name)
            except metadata.PackageNotFoundError:
                continue
        return found

    def has_float64(self) -> bool:
        """Whether a program may compute in float64, which JAX allows only if told so."""
        return bool(jax.config.jax_enable_x64)

    def device(self) -> str:
        """Platform and kind of the first device."""
        device = jax.devices()[0]
        return f"{device.platform}: {device.device_kind}"

    def other_devices(self) -> list[str]:
        """The second device, and the CPU beside a GPU."""
        return [devices.name_of(device) for device in devices.others()]


FRAMEWORK = PlainJaxFramework()
