"""Records every ATen operator of a run."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import torch

from stayfinite.frameworks.recording.recording import Recording
from stayfinite.frameworks.torch import capture_names as names
from stayfinite.frameworks.torch import finite_checks, private
from stayfinite.frameworks.torch.capture_tensors import TensorNumbers, dtype_of
from stayfinite.frameworks.torch.operator_errors import refused
from stayfinite.graph.code_owner import is_user_file


class Dispatch(private.TorchDispatchMode):
    """Records each operator that runs inside it, in the forward and the backward pass.

    An autograd node has a sequence number; that of a forward operator is found right after it
    ran, that of the node at work is known in the backward pass. So a derivative leads to its
    forward operator.
    """

    def __init__(self, recording: Recording) -> None:
        super().__init__()
        self._recording = recording
        self.numbers = TensorNumbers(recording, self._synthetic)
        self._op_of_node: dict[int, int] = {}
        self._next_node = private.next_node()
        # The number of the NaN that replaces the result of an operator that raised.
        self.refusal: int | None = None

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        signature = _signature(func)
        if signature.is_alias:
            return func(*args, **kwargs)  # the same memory in the same layout: the same value
        operands = self._operands(signature, args, kwargs)
        try:
            out = func(*args, **kwargs)
        except Exception:
            if refused(args, kwargs):
                self._note_refusal(signature, [n for group in operands for n in group])
            raise
        parts = signature.parts
        # With its derivative, it is one operator as long as it is finite.
        if parts is not None and not _are_finite(out) and _are_finite((args, kwargs)):
            with self:
                return parts(*args, **kwargs)
        if signature.is_list:
            self._note_each(signature, operands, args, out)
        else:
            self._note(signature, [n for group in operands for n in group], args, kwargs, out)
        return out

    def _operands(self, signature: _Signature, args: Any, kwargs: Any) -> list[list[int]]:
        groups: list[list[int]] = []
        dtype = next((dtype_of(a) for a in args if isinstance(a, torch.Tensor)), "float32")
        unread = names.unread(signature.aten, _given(signature, args, kwargs))
        for position, argument in enumerate(signature.arguments):
            if argument in unread:
                continue
            value = args[position] if position < len(args) else kwargs.get(argument)
            if isinstance(value, torch.Tensor):
                groups.append([self.numbers.number(value)])
            elif isinstance(value, list | tuple) and any(
                isinstance(v, torch.Tensor) for v in value
            ):
                groups.append([self.numbers.number(v) for v in value if v is not None])
            elif names.is_scalar_operand(signature.name, argument):
                numbers = value if isinstance(value, list | tuple) else [value]
                scalars = [n for n in numbers if isinstance(n, int | float)]
                if scalars and not isinstance(value, bool):
                    groups.append([self._scalar(n, dtype) for n in scalars])
        return groups

    def _scalar(self, value: float, dtype: str) -> int:
        # NumPy has no bfloat16, and a number that is written in the code needs none.
        kind = dtype if dtype in ("float16", "float32", "float64", "int32", "int64") else "float32"
        with np.errstate(all="ignore"):
            return self._recording.constant((), dtype, np.asarray(value).astype(kind))

    def _note_refusal(self, signature: _Signature, operands: list[int]) -> None:
        """Record a NaN result for an operator that raised, and end the step."""
        number = self._recording.value((), "float32")
        operands = names.order(signature.aten, operands)
        self._recording.op(signature.name, operands, [(number, torch.tensor(float("nan")))])
        self.refusal = number

    def _note_each(self, signature: _Signature, operands: Any, args: Any, out: Any) -> None:
        """A `_foreach_` operator as one op for each tensor of its lists."""
        results = args[0] if signature.writes else out
        for position, result in enumerate(results):
            own = [
                group[position] if len(group) == len(results) else group[0] for group in operands
            ]
            self._op(signature, own, [result], written=bool(signature.writes))

    def _note(
        self, signature: _Signature, operands: list[int], args: Any, kwargs: Any, out: Any
    ) -> None:
        written = [
            args[position] if position < len(args) else kwargs.get(argument)
            for position, argument in signature.writes
        ]
        written = [tensor for tensor in written if isinstance(tensor, torch.Tensor)]
        fresh = [t for t in _tensors(out) if not any(t is w for w in written)]
        operands = names.order(signature.aten, operands)
        if signature.is_pure_write:
            # `copy_` and `fill_` do not read what they write over.
            operands = operands[1:]
        if written:
            self._op(signature, operands, written, written=True)
        given = _given(signature, args, kwargs)
        for name in names.written_unsaid(signature.aten, given):
            # A normalization writes to moving statistics, which its declaration does not say.
            if isinstance(statistic := given.get(name), torch.Tensor):
                own = [operands[0], self.numbers.number(statistic)]
                self._op(signature, own, [statistic], written=True)
        if fresh:
            self._op(signature, operands, fresh, written=False)

    def _op(
        self, signature: _Signature, operands: list[int], tensors: list[Any], *, written: bool
    ) -> None:
        results = []
        for tensor in tensors:
            number = self._recording.value(tensor.shape, dtype_of(tensor))
            (self.numbers.written if written else self.numbers.bind)(tensor, number)
            results.append((number, tensor))
        node = private.current_node()
        backward = node is not None
        forward = None
        if node is not None and not _is_in_backward_of_user():
            forward = self._op_of_node.get(node)
        index = len(self._recording.ops)
        # A derivative makes nodes of its own where it is differentiated once more.
        self._remember_node(index)
        self._recording.op(signature.name, operands, results, backward=backward, forward=forward)

    def _remember_node(self, index: int) -> None:
        latest = private.next_node()
        for node in range(self._next_node, latest):
            # Only the last one is this op's: the others were made after the op before had run.
            self._op_of_node.setdefault(node, index if node == latest - 1 else max(index - 1, 0))
        self._next_node = latest

    def _synthetic(self, sources: list[int], tensor: Any) -> int:
        number = self._recording.value(tensor.shape, dtype_of(tensor))
        backward = private.current_node() is not None
        self._recording.op("copy", sources, [(number, tensor)], backward=backward)
        return number


def _is_in_backward_of_user() -> bool:
    """Whether the derivative has a line of the user's, which the forward op need not stand for."""
    file = private.file_of_backward()
    return file is not None and is_user_file(file)


def _are_finite(values: Any) -> bool:
    return finite_checks.all_finite(finite_checks.floating(_tensors(values)))


def _tensors(out: Any) -> list[Any]:
    """Every tensor that an operator returned: of a recurrent layer's derivative, some in a list."""
    if isinstance(out, list | tuple):
        return [tensor for each in out for tensor in _tensors(each)]
    return [out] if isinstance(out, torch.Tensor) else []


def _given(signature: _Signature, args: Any, kwargs: Any) -> dict[str, Any]:
    """What an operator was given, by the names of its arguments."""
    return {**dict(zip(signature.arguments, args, strict=False)), **kwargs}


class _Signature:
    """The declaration of an operator, as the capture needs it."""

    def __init__(self, func: Any) -> None:
        schema = private.schema_of(func)
        self.aten: str = schema.name
        self.name = names.canonical(schema.name)
        self.arguments = [argument.name for argument in schema.arguments]
        self.writes = [
            (position, argument.name)
            for position, argument in enumerate(schema.arguments)
            if argument.alias_info is not None and argument.alias_info.is_write
        ]
        base = schema.name.rpartition("::")[2]
        self.is_alias = base in ("detach", "alias", "lift_fresh", "detach_")
        self.is_list = base.startswith(private.FOREACH)
        self.is_pure_write = base in ("copy_", "fill_", "zero_")
        self.parts = private.decomposition_of(func) if self.name in names.IN_PARTS else None


@functools.cache
def _signature(func: Any) -> _Signature:
    return _Signature(func)
