"""Records the ops of an eager step, with numbers for tensors and variables.

Reading a variable gives the number of its present value; assigning it gives it another number.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from stayfinite.frameworks.keras.patches import replaced
from stayfinite.frameworks.recording.recording import Recording
from stayfinite.frameworks.tensorflow import private
from stayfinite.frameworks.tensorflow.capture_names import canonical, num_operands
from stayfinite.frameworks.tensorflow.host_arrays import made_of
from stayfinite.frameworks.tensorflow.state import numpy_of

_IN_PLACE = {
    "AssignAddVariableOp": "add",
    "AssignSubVariableOp": "subtract",
    "ResourceScatterAdd": "scatter_add",
    "ResourceScatterSub": "scatter_subtract",
    "ResourceScatterUpdate": "scatter_update",
}
_WITHOUT_NUMBERS = (tf.resource, tf.variant, tf.string)


class OpRecord:
    """Passes the ops of one run to a `Recording`.

    Attributes:
        draws: Whether one of them drew random numbers from a state of TensorFlow's own.
        draws_seeded: Whether one of them drew random numbers from a seed that it was given.
    """

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._on_host: list[tuple[int, np.ndarray]] = []
        self._numbers: dict[int, int] = {}
        self._held: dict[int, int] = {}
        self._made_by: dict[int, int] = {}
        self._used_by: dict[tuple[str, int], list[int]] = {}
        self._forward: int | None = None
        self._depth = 0
        self.draws = False
        self.draws_seeded = False

    def bind(self, tensor: Any, number: int) -> None:
        """`tensor` is the value `number`."""
        self._numbers[private.key(tensor)] = number

    def bind_on_host(self, array: np.ndarray, number: int) -> None:
        """The step gets the value `number` as a NumPy array, and makes tensors of it by itself."""
        self._on_host.append((number, array))

    def hold(self, variable: tf.Variable, number: int) -> None:
        """`variable` holds the value `number`."""
        self._held[private.key(variable.handle)] = number

    def held(self, variable: tf.Variable) -> int | None:
        """The number of the present value of a variable."""
        return self._held.get(private.key(variable.handle))

    def number(self, tensor: Any) -> int:
        """The number of a tensor or variable; a tensor that no op made is a constant."""
        tensor = tensor.values if isinstance(tensor, tf.IndexedSlices) else tensor
        if isinstance(tensor, keras.Variable | tf.Variable):
            variable = private.raw(tensor)
            held = self.held(variable)
            if held is not None:
                return held
            tensor = variable.read_value()
        known = self._numbers.get(private.key(tensor))
        if known is not None:
            return known
        number = self._from_host(tensor)
        if number is None:
            number = self._recording.constant(tensor.shape, tensor.dtype.name, tensor)
            self.bind(tensor, number)
        return number

    def _from_host(self, tensor: Any) -> int | None:
        """The number of a tensor made of a NumPy array of the batch; None for any other."""
        if not self._on_host or tensor.dtype in _WITHOUT_NUMBERS:
            return None
        value = numpy_of(tensor)
        for leaf, array in self._on_host:
            if made_of(array, value):
                self._note("", "cast", [leaf], [tensor])
                return self._numbers[private.key(tensor)]
        return None

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """Listen inside the block."""
        with (
            replaced([(tf.GradientTape, "gradient", self._deeper)]),
            private.op_callback(self._tell),
            private.gradient_functions(self._differentiating),
        ):
            yield

    def _deeper(self, plain: Callable[..., Any]) -> Callable[..., Any]:
        def gradient(*args: Any, **kwargs: Any) -> Any:
            self._depth += 1
            try:
                return plain(*args, **kwargs)
            finally:
                self._depth -= 1

        return gradient

    @contextlib.contextmanager
    def _differentiating(self, op_type: str, inputs: Any, outputs: Any) -> Iterator[None]:
        outer = self._forward
        self._forward = self._forward_of(op_type, inputs, outputs)
        try:
            yield
        finally:
            self._forward = outer

    def _forward_of(self, op_type: str, inputs: Any, outputs: Any) -> int | None:
        for output in _known(outputs):
            made_by = self._made_by.get(self._numbers.get(private.key(output), -1))
            if made_by is not None:
                return made_by
        candidates: set[int] | None = None
        for operand in _known(inputs):
            number = self._numbers.get(private.key(operand))
            if number is not None:
                used = set(self._used_by.get((op_type, number), ()))
                candidates = used if candidates is None else candidates & used
        return max(candidates) if candidates else None

    def _tell(
        self, kind: str, inputs: tuple[Any, ...], attrs: tuple[Any, ...], outputs: list[Any]
    ) -> None:
        if kind == "ReadVariableOp":
            self.bind(outputs[0], self._read(inputs[0], outputs[0]))
        elif kind == "AssignVariableOp":
            if inputs[1].dtype not in _WITHOUT_NUMBERS:
                self._held[private.key(inputs[0])] = self.number(inputs[1])
        elif kind in _IN_PLACE:
            self._in_place(kind, inputs)
        else:
            self._plain(kind, inputs, outputs)

    def _read(self, handle: Any, tensor: Any) -> int:
        known = self._held.get(private.key(handle))
        if known is None:
            known = self._recording.constant(tensor.shape, tensor.dtype.name, tensor)
            self._held[private.key(handle)] = known
        return known

    def _in_place(self, kind: str, inputs: tuple[Any, ...]) -> None:
        handle, *others = inputs
        dtype = others[-1].dtype
        attrs = ("dtype", dtype.as_datatype_enum)
        after = private.execute("ReadVariableOp", [handle], attrs, 1)[0]
        before = self._held.get(private.key(handle))
        operands = [] if before is None else [before]
        operands += [self.number(operand) for operand in others]
        self._note(kind, _IN_PLACE[kind], operands, [after])
        self._held[private.key(handle)] = self._numbers[private.key(after)]

    def _plain(self, kind: str, inputs: tuple[Any, ...], outputs: list[Any]) -> None:
        if private.is_random(kind):
            self.draws = True
        elif private.is_drawn(kind):
            self.draws_seeded = True
        results = [output for output in outputs if output.dtype not in _WITHOUT_NUMBERS]
        if not results:
            return
        operands = []
        for operand in inputs[: num_operands(kind, len(inputs))]:
            if operand.dtype == tf.resource:
                held = self._held.get(private.key(operand))
                operands += [] if held is None else [held]
            elif operand.dtype not in _WITHOUT_NUMBERS:
                operands.append(self.number(operand))
        self._note(kind, canonical(kind), operands, results)

    def _note(self, kind: str, name: str, operands: list[int], results: list[Any]) -> None:
        numbered = []
        for tensor in results:
            number = self._recording.value(tensor.shape, tensor.dtype.name)
            self.bind(tensor, number)
            numbered.append((number, tensor))
        # The op is known before its results are visited, and a visitor may end the run.
        index = len(self._recording.ops)
        for number, _ in numbered:
            self._made_by[number] = index
        for operand in operands:
            self._used_by.setdefault((kind, operand), []).append(index)
        backward = self._depth > 0
        forward = self._forward if backward else None
        self._recording.op(name, operands, numbered, backward=backward, forward=forward)


def _known(tensors: Any) -> list[Any]:
    return [t for t in tensors if t is not None and private.has_key(t)]
