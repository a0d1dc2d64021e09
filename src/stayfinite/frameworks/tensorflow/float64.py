"""The step in float64: each op is repeated on float64 copies (shadows) of its operands.

TensorFlow has no implicit casts, so a model runs in its own dtypes only. The step runs unchanged,
and after each op the same op runs in float64 on the shadows of its operands.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from stayfinite.frameworks.tensorflow import private

# An attribute of the tensor, so that both are freed together.
_SHADOW = "_stayfinite_wide"
_SCATTERS = {
    "ResourceScatterAdd": tf.tensor_scatter_nd_add,
    "ResourceScatterSub": tf.tensor_scatter_nd_sub,
    "ResourceScatterUpdate": tf.tensor_scatter_nd_update,
}
# Its results are the bits of the operand, of which float64 has others; the shadows end there.
_OF_BITS = "Bitcast"
_NO_KERNEL = (
    tf.errors.InvalidArgumentError,
    tf.errors.NotFoundError,
    tf.errors.UnimplementedError,
    tf.errors.InternalError,
)


class WideShadows:
    """Follows a run and keeps the shadow of each tensor in float64."""

    def __init__(self) -> None:
        self._variables: dict[int, Any] = {}

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """Follow inside the block."""
        with private.op_callback(self._tell):
            yield

    def seed(self, tensor: Any) -> None:
        """Start the shadows at a tensor of batch or state."""
        if _is_floating(tensor):
            self.of(tensor)

    def of(self, tensor: Any) -> Any:
        """The shadow of a tensor, which is the tensor itself where there is nothing to widen."""
        if isinstance(tensor, tf.IndexedSlices):
            return tf.IndexedSlices(self.of(tensor.values), tensor.indices, tensor.dense_shape)
        shadow = getattr(tensor, _SHADOW, None)
        if shadow is None:
            if not _is_floating(tensor):
                return tensor
            shadow = tf.cast(tensor, _wider(tensor.dtype))
            setattr(tensor, _SHADOW, shadow)
        return shadow

    def of_variable(self, variable: tf.Variable) -> Any:
        """The shadow of the present value of a variable."""
        return self._variables.get(private.key(variable.handle), variable.read_value())

    def _tell(
        self, kind: str, inputs: tuple[Any, ...], attrs: tuple[Any, ...], outputs: list[Any]
    ) -> None:
        if kind == "ReadVariableOp":
            self._read(inputs[0], outputs[0])
        elif kind in ("AssignVariableOp", "AssignAddVariableOp", "AssignSubVariableOp"):
            self._assign(kind, *inputs)
        elif kind in _SCATTERS:
            handle, indices, updates = inputs
            before = self._variables[private.key(handle)]
            after = _SCATTERS[kind](before, indices[..., None], self.of(updates))
            self._variables[private.key(handle)] = after
        elif kind == "ResourceGather":
            table = self._variables.get(private.key(inputs[0]))
            if table is not None:
                setattr(outputs[0], _SHADOW, tf.gather(table, self.of(inputs[1])))
        elif kind == _OF_BITS or private.is_drawn(kind):
            # Random numbers in float64 are other ones; the step goes on with those that it drew.
            return
        elif any(hasattr(operand, _SHADOW) for operand in inputs):
            self._repeat(kind, inputs, attrs, outputs)

    def hold(self, variable: tf.Variable, value: Any) -> None:
        """The value of a variable before the step."""
        if _is_floating(value):
            self._variables[private.key(variable.handle)] = tf.cast(value, _wider(value.dtype))

    def _read(self, handle: Any, tensor: Any) -> None:
        shadow = self._variables.get(private.key(handle))
        if shadow is not None:
            setattr(tensor, _SHADOW, shadow)
        elif _is_floating(tensor):
            self._variables[private.key(handle)] = self.of(tensor)

    def _assign(self, kind: str, handle: Any, value: Any) -> None:
        if not _is_floating(value):
            return
        key, shadow = private.key(handle), self.of(value)
        if kind == "AssignAddVariableOp":
            shadow = self._variables[key] + shadow
        elif kind == "AssignSubVariableOp":
            shadow = self._variables[key] - shadow
        self._variables[key] = shadow

    def _repeat(
        self, kind: str, inputs: tuple[Any, ...], attrs: tuple[Any, ...], outputs: list[Any]
    ) -> None:
        shadows = [self.of(operand) for operand in inputs]
        try:
            widened = private.with_types(kind, attrs, _wider)
            results = private.execute(kind, shadows, widened, len(outputs))
        except _NO_KERNEL:
            narrow = [
                tf.cast(shadow, operand.dtype) if shadow.dtype != operand.dtype else shadow
                for shadow, operand in zip(shadows, inputs, strict=True)
            ]
            results = private.execute(kind, narrow, attrs, len(outputs))
        for output, result in zip(outputs, results, strict=True):
            setattr(output, _SHADOW, tf.cast(result, _wider(result.dtype)))


def _is_floating(tensor: Any) -> bool:
    return bool(tensor.dtype.is_floating or tensor.dtype.is_complex)


def _wider(dtype: tf.DType) -> tf.DType:
    """float64, of which a complex number has two."""
    if dtype.is_complex:
        return tf.complex128
    return tf.float64 if dtype.is_floating else dtype
