"""Tensors of a file of `torch.save`, read without PyTorch and without running the pickle.

A pickle is a program. `pickletools` splits it into its instructions; here, only those that a state
dict needs have a meaning, and only the two functions that make dictionaries and tensors may be
called. The file has five pickles (magic number, protocol, platform, the dictionary, the keys of the
storages) and then the numbers: for each key their count as int64, and their bytes. PyTorch 1.6 and
later write another format, a zip archive, unless asked for this one.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
_DTYPES = {"torch FloatStorage": "<f4", "torch LongStorage": "<i8"}
_COUNT = np.dtype("<i8")


@dataclass(frozen=True)
class _Global:
    """A name that the pickle would import."""

    name: str


@dataclass(frozen=True)
class _Storage:
    key: str
    dtype: str


@dataclass(frozen=True)
class _Tensor:
    """A view of a storage; strides in elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_state_dict(path: Path) -> dict[str, np.ndarray]:
    """Read the tensors of a state dict from a file of `torch.save` in its format before 1.6.

    Returns:
        The arrays by name, in float32 or int64.

    Raises:
        ValueError: If the file is damaged, or holds anything else.
        OSError: If the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return _read(file)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        # Of `pickletools`, or of an instruction that finds other operands than it needs.
        raise ValueError(
            f"{path} must be a state dict in the format of torch.save before 1.6: {error}"
        ) from error


def _read(file: BinaryIO) -> dict[str, np.ndarray]:
    header = [_Pickle().run(file) for _ in range(3)]
    if header[:2] != [_MAGIC, _PROTOCOL] or header[2].get("little_endian") is not True:
        raise ValueError("the file has another header")
    tensors = _Pickle().run(file)
    keys = _Pickle().run(file)
    dtypes = {tensor.storage.key: tensor.storage.dtype for tensor in tensors.values()}
    numbers = {}
    for key in keys:
        (count,) = np.frombuffer(file.read(_COUNT.itemsize), _COUNT)
        dtype = np.dtype(dtypes[key])
        numbers[key] = np.frombuffer(file.read(int(count) * dtype.itemsize), dtype, int(count))
    return {name: _array(tensor, numbers) for name, tensor in tensors.items()}


def _array(tensor: _Tensor, numbers: dict[str, np.ndarray]) -> np.ndarray:
    stored = numbers[tensor.storage.key][tensor.offset :]
    last = sum((n - 1) * step for n, step in zip(tensor.shape, tensor.strides, strict=True))
    if min(tensor.strides, default=0) < 0 or min(tensor.shape, default=1) < 1 or tensor.offset < 0:
        raise ValueError(f"a tensor has the shape {tensor.shape} and the strides {tensor.strides}")
    if last >= len(stored):
        raise ValueError(f"a tensor of shape {tensor.shape} ends beyond its storage")
    in_bytes = [step * stored.itemsize for step in tensor.strides]
    return np.lib.stride_tricks.as_strided(stored, tensor.shape, in_bytes, writeable=False)


@dataclass
class _Pickle:
    """The stack, the marks on it and the memo of a pickle."""

    stack: list[Any] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)

    def run(self, file: BinaryIO) -> Any:
        """Read one pickle from the file; return its value."""
        for opcode, argument, _ in pickletools.genops(file):
            if opcode.name == "STOP":
                break
            if opcode.name not in _INSTRUCTIONS:
                raise ValueError(f"the pickle has the instruction {opcode.name}")
            _INSTRUCTIONS[opcode.name](self, argument)
        return self.stack.pop()

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop(self, count: int) -> tuple[Any, ...]:
        start = len(self.stack) - count
        if start < 0:
            raise ValueError("the stack of the pickle is empty")
        values = tuple(self.stack[start:])
        del self.stack[start:]
        return values

    def pop_marked(self) -> tuple[Any, ...]:
        return self.pop(len(self.stack) - self.marks.pop())

    def set_items(self, items: tuple[Any, ...]) -> None:
        self.stack[-1].update(zip(items[::2], items[1::2], strict=True))

    def extend(self, values: tuple[Any, ...]) -> None:
        self.stack[-1].extend(values)

    def load_storage(self) -> None:
        (identifier,) = self.pop(1)
        kind, dtype, key, *_ = identifier
        if kind != "storage":
            raise ValueError(f"the pickle refers to {kind!r}")
        self.push(_Storage(key, _DTYPES[dtype.name]))

    def call(self) -> None:
        function, arguments = self.pop(2)
        if function == _Global("collections OrderedDict") and not arguments:
            self.push({})
        elif function == _Global("torch._utils _rebuild_tensor_v2"):
            storage, offset, shape, strides, *_ = arguments
            self.push(_Tensor(storage, offset, shape, strides))
        else:
            name = function.name if isinstance(function, _Global) else repr(function)
            raise ValueError(f"the pickle calls {name}")


def _push_argument(pickle: _Pickle, argument: Any) -> None:
    pickle.push(argument)


def _memoize(pickle: _Pickle, place: Any) -> None:
    pickle.memo[place] = pickle.stack[-1]


def _recall(pickle: _Pickle, place: Any) -> None:
    pickle.push(pickle.memo[place])


def _nothing(pickle: _Pickle, argument: Any) -> None:
    pass


_INSTRUCTIONS: dict[str, Callable[[_Pickle, Any], object]] = {
    **dict.fromkeys(("LONG1", "BININT", "BININT1", "BININT2", "BINUNICODE"), _push_argument),
    **dict.fromkeys(("BINPUT", "LONG_BINPUT"), _memoize),
    **dict.fromkeys(("BINGET", "LONG_BINGET"), _recall),
    "PROTO": _nothing,
    "NONE": lambda pickle, _: pickle.push(None),
    "NEWTRUE": lambda pickle, _: pickle.push(True),
    "NEWFALSE": lambda pickle, _: pickle.push(False),
    "EMPTY_DICT": lambda pickle, _: pickle.push({}),
    "EMPTY_LIST": lambda pickle, _: pickle.push([]),
    "EMPTY_TUPLE": lambda pickle, _: pickle.push(()),
    "MARK": lambda pickle, _: pickle.marks.append(len(pickle.stack)),
    "TUPLE": lambda pickle, _: pickle.push(pickle.pop_marked()),
    "TUPLE1": lambda pickle, _: pickle.push(pickle.pop(1)),
    "TUPLE2": lambda pickle, _: pickle.push(pickle.pop(2)),
    "APPENDS": lambda pickle, _: pickle.extend(pickle.pop_marked()),
    "SETITEM": lambda pickle, _: pickle.set_items(pickle.pop(2)),
    "SETITEMS": lambda pickle, _: pickle.set_items(pickle.pop_marked()),
    "GLOBAL": lambda pickle, name: pickle.push(_Global(name)),
    "BINPERSID": lambda pickle, _: pickle.load_storage(),
    "REDUCE": lambda pickle, _: pickle.call(),
    # The attributes of an object: the versions of the modules, which nothing here reads.
    "BUILD": lambda pickle, _: pickle.pop(1),
}
