"""The gradients of one step, taken out of the optimizer of a script that may be compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


class GradientStore(Protocol):
    """The newest gradients that optimizers applied, compiled or not."""

    def keep(self, name: str, gradient: Any) -> None:
        """Called while a step runs or, if it is compiled, while it is traced."""

    def clear(self) -> None:
        """Forget all, so that a step that applies no gradient has none."""

    def newest(self) -> dict[str, Array]:
        """By name, after a step has ended."""


class EagerStore:
    """PyTorch: every step runs as it is written."""

    def __init__(self) -> None:
        self._found: dict[str, Array] = {}

    def keep(self, name: str, gradient: Any) -> None:
        """Copy it to the host."""
        self._found[name] = gradient.detach().float().cpu().numpy().copy()

    def clear(self) -> None:
        """Forget the copies."""
        self._found.clear()

    def newest(self) -> dict[str, Array]:
        """All copies."""
        return dict(self._found)


class CallbackStore:
    """JAX: the compiled step calls back."""

    def __init__(self) -> None:
        self._found: dict[str, Array] = {}

    def keep(self, name: str, gradient: Any) -> None:
        """Add a callback to what is traced."""
        import jax

        def write(value: Any) -> None:
            self._found[name] = np.asarray(value, dtype="float32")

        jax.debug.callback(write, gradient)

    def clear(self) -> None:
        """Forget what earlier steps gave; their callbacks may still have to run."""
        import jax

        jax.effects_barrier()
        self._found.clear()

    def newest(self) -> dict[str, Array]:
        """Once all callbacks have run."""
        import jax

        jax.effects_barrier()
        return dict(self._found)


class VariableStore:
    """TensorFlow: the compiled step writes to variables, as XLA cannot call back."""

    def __init__(self) -> None:
        self._variables: dict[str, Any] = {}

    def keep(self, name: str, gradient: Any) -> None:
        """Add an assignment to what is traced."""
        import tensorflow as tf

        value = tf.cast(tf.convert_to_tensor(gradient), "float32")
        if name not in self._variables:
            with tf.init_scope():
                # Gradients of an embedding may have rows of unknown number while they are traced.
                known = [size or 0 for size in value.shape]
                self._variables[name] = tf.Variable(
                    tf.zeros(known), trainable=False, shape=value.shape
                )
        self._variables[name].assign(value)

    def clear(self) -> None:
        """Set all variables to 0; they belong to the compiled step."""
        for variable in self._variables.values():
            variable.assign(np.zeros_like(variable.numpy()))

    def newest(self) -> dict[str, Array]:
        """The values of the variables."""
        return {name: variable.numpy() for name, variable in self._variables.items()}


STORES: dict[str, Callable[[], GradientStore]] = {
    "jax": CallbackStore,
    "tensorflow": VariableStore,
    "torch": EagerStore,
}


def record_gradients(store: GradientStore) -> None:
    """From now on, pass what every optimizer of Keras applies to `store`."""
    import keras

    kind = next(kind for kind in keras.optimizers.Optimizer.__mro__ if "apply" in vars(kind))
    plain = kind.apply
    names: dict[int, str] = {}
    optimizers: list[Any] = []

    def apply(self: Any, grads: Any, trainable_variables: Any = None) -> Any:
        if id(self) not in names:
            optimizers.append(self)
            names[id(self)] = f"{len(names)}"
        grads = list(grads)
        for i, gradient in enumerate(grads):
            if gradient is not None:
                store.keep(f"{names[id(self)]}.{i}", gradient)
        return plain(self, grads, trainable_variables)

    kind.apply = apply
