"""JAX without Keras, as what a bad step is explained with."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import metadata

import numpy as np

from stayfinite.frameworks.batch import Batch, BatchArray
from stayfinite.frameworks.jax.framework import JaxFramework
from stayfinite.frameworks.jax.plain.subject import PlainJax
from stayfinite.frameworks.jax.plain.values import StepData
from stayfinite.frameworks.state import Tensor
from stayfinite.frameworks.subject import Subject

_PACKAGES = ("jax", "jaxlib", "optax", "flax", "equinox", "numpy")


class PlainJaxFramework(JaxFramework):
    """The `base.Framework` of steps without Keras."""

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


FRAMEWORK = PlainJaxFramework()
