"""The ops of one eager run on numbered values, from which a `Graph` is made.

Numbers are given in the order of execution, so a second run of the same step gives the same
numbers, and a pass can fetch a few arrays by number. The first pass holds no arrays and stores for
each result whether it is finite.
"""

from __future__ import annotations

import contextlib
import math
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import CodeType
from typing import Any

import numpy as np

from stayfinite.frameworks.recording.places import NOWHERE, Place, place_here
from stayfinite.graph.graph import Role

_MAX_CONSTANT = 4096
# They read the shape of their operand only.
_READ_NO_NUMBERS = {
    "empty_like",
    "full_like",
    "new_empty",
    "new_empty_strided",
    "new_full",
    "new_ones",
    "new_zeros",
    "ones_like",
    "rand_like",
    "randn_like",
    "rank",
    "shape",
    "size",
    "zeros_like",
}


class Enough(BaseException):
    """Ends a run early, when everything that was requested has been seen.

    Not an `Exception`: the user's own `except Exception` must not swallow it.
    """


@contextlib.contextmanager
def until_enough() -> Iterator[None]:
    """`Enough` ends the block, and the arrays of its frames are given back at once.

    A frame that refers to the exception is part of a cycle; to collect it takes a fifth of a second
    in a process with a framework.
    """
    try:
        yield
    except Enough as enough:
        traceback.clear_frames(enough.__traceback__)


@dataclass(frozen=True)
class RecordedOp:
    """One op. `forward` is the index of the op that this one differentiates, where it is known."""

    name: str
    operands: tuple[int, ...]
    results: tuple[int, ...]
    place: Place
    backward: bool
    forward: int | None


@dataclass(frozen=True)
class Shape:
    """Shape and canonical dtype (`float32`) of a value."""

    shape: tuple[int, ...]
    dtype: str


class Recording:
    """Records each op of a run; called by the op interception of an engine.

    Args:
        boundary: Code of the frame that calls the train step; frames outside it are not the step's.
        visit: Called with number and tensor of each op result, and of each constant.
        numpy: Brings a tensor to the host.
        places: Whether to note where each op is in the user's code. Costs most of a pass.
    """

    def __init__(
        self,
        boundary: CodeType,
        visit: Callable[[int, Any], None],
        numpy: Callable[[Any], np.ndarray],
        *,
        places: bool = True,
    ) -> None:
        self.ops: list[RecordedOp] = []
        self.shapes: list[Shape] = []
        self.constants: dict[int, np.ndarray] = {}
        self.large_constants: set[int] = set()
        self.leaves: dict[int, tuple[Role, str]] = {}
        self.chain: list[Any] = []
        self._boundary = boundary
        self._visit = visit
        self._numpy = numpy
        self._places = places

    @contextlib.contextmanager
    def inside(self, called: Any) -> Iterator[None]:
        """The ops inside the block belong to a call of `called`, an object of a library."""
        self.chain.append(called)
        try:
            yield
        finally:
            self.chain.pop()

    def value(self, shape: Iterable[int], dtype: str) -> int:
        """The number of a new value."""
        self.shapes.append(Shape(tuple(shape), dtype))
        return len(self.shapes) - 1

    def leaf(self, role: Role, name: str, shape: Iterable[int], dtype: str) -> int:
        """The number of a value that comes in under a name. Leaves come before the first op."""
        number = self.value(shape, dtype)
        self.leaves[number] = (role, name)
        return number

    def constant(self, shape: Iterable[int], dtype: str, tensor: Any) -> int:
        """The number of a value that no op made; its array is kept where that is small."""
        number = self.value(shape, dtype)
        if math.prod(self.shapes[number].shape) <= _MAX_CONSTANT:
            self.constants[number] = self._numpy(tensor)
        else:
            self.large_constants.add(number)
            self._visit(number, tensor)
        return number

    def op(
        self,
        name: str,
        operands: Iterable[int],
        results: list[tuple[int, Any]],
        *,
        backward: bool = False,
        forward: int | None = None,
    ) -> int:
        """Note one op, and return its index.

        Args:
            name: Canonical name.
            operands: Numbers of the values read.
            results: Number and tensor of each value made.
            backward: Whether it ran inside the backward pass.
            forward: Index of the forward op whose derivative it computes, if known. It then has
                the place of that op.
        """
        index = len(self.ops)
        if not self._places:
            place = NOWHERE
        elif forward is not None:
            place = self.ops[forward].place
        else:
            place = place_here(self._boundary, tuple(self.chain))
        numbers = tuple(number for number, _ in results)
        read = () if name in _READ_NO_NUMBERS else tuple(operands)
        self.ops.append(RecordedOp(name, read, numbers, place, backward, forward))
        for number, tensor in results:
            self._visit(number, tensor)
        return index
