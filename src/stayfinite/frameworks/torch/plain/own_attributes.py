"""Attributes that a step sets on objects of the user: counters, positions, arrays that it fills.

At the update they hold what the step has made of them. A counter of integers grows by as much when
the step is made again, which gives the number that it had when it began. Objects of libraries, as
one that counts the batches of which gradients are accumulated, have their numbers put back.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterable, Iterator
from types import FunctionType, ModuleType
from typing import Any

import numpy as np
import torch

from stayfinite.frameworks.torch import private
from stayfinite.graph.code_owner import is_user_file

# An attribute of an object of the user, and an attribute of that.
DEPTH = 3
OF_MODULES = frozenset(vars(torch.nn.Module()))
# Arrays of more bytes in all, such as a large replay buffer, are not copied.
MAX_BYTES = 64 * 2**20
_NUMBERS = (int, float, bool)
_WITHOUT_COUNTERS = (type, FunctionType, ModuleType, torch.nn.Module, torch.Tensor, np.ndarray)


class Attributes:
    """The attributes of the objects of the user that names stand for.

    Args:
        values: What the names stand for.

    Attributes:
        known: Those that hold what they held before the step, by object and name.
    """

    def __init__(self, values: Iterable[object]) -> None:
        named = {id(value): value for value in values}.values()
        found = {id(each): each for value in named for each in _objects_in(value, DEPTH)}
        self._objects = list(found.values())
        self._of_libraries = [v for v in named if id(v) not in found and _may_count(v)]
        # By object and name: by how much the step has raised an integer.
        self._raised: dict[tuple[int, str], int] = {}
        self.known: frozenset[tuple[int, str]] = frozenset()
        self._is_for_good = False

    @property
    def may_have_changed(self) -> bool:
        """Whether there is an integer that a step may count with."""
        return any(type(v) is int for each in self._objects for v in own_attributes(each).values())

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """In the block integers begin as before the step; after it all are as they were."""
        with contextlib.nullcontext() if self._is_for_good else self._put_back():
            for each in self._objects:
                for name, value in own_attributes(each).items():
                    raised = self._raised.get((id(each), name), 0)
                    if raised and type(value) is int:
                        object.__setattr__(each, name, value - raised)
            yield

    @contextlib.contextmanager
    def set_for_good(self) -> Iterator[None]:
        """What is set inside the block stays, unless an error leaves it."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._put_back())
            self._is_for_good = True
            try:
                yield
            finally:
                self._is_for_good = False
            stack.pop_all()

    @contextlib.contextmanager
    def measured(self) -> Iterator[None]:
        """The block makes the step. By as much as it raises integers they were raised before."""
        before = [own_attributes(each) for each in self._objects]
        self._raised = {}
        with self._put_back():
            try:
                yield
            finally:
                for each, old in zip(self._objects, before, strict=True):
                    for name, new in own_attributes(each).items():
                        value = old.get(name)
                        if (id(each), name) in self.known:
                            continue
                        if type(new) is int and type(value) is int and new != value:
                            self._raised[id(each), name] = new - value

    @contextlib.contextmanager
    def _put_back(self) -> Iterator[None]:
        before = [own_attributes(each) for each in self._objects]
        numbers = [_numbers_of(each) for each in self._of_libraries]
        with private.unseen():
            copies = list(_copies([value for old in before for value in old.values()]))
        try:
            yield
        finally:
            for each, old in zip(self._objects, before, strict=True):
                now = own_attributes(each)
                for name in now.keys() - old.keys():
                    object.__delattr__(each, name)
                for name, value in old.items():
                    if now.get(name, self) is not value:
                        object.__setattr__(each, name, value)
            for each, had in zip(self._of_libraries, numbers, strict=True):
                for name, number in had.items():
                    if vars(each).get(name, self) is not number:
                        object.__setattr__(each, name, number)
            with private.unseen(), torch.no_grad():
                for array, copy in copies:
                    array[...] = copy


def own_attributes(value: object) -> dict[str, Any]:
    """The attributes of an object of the user, without those of every module."""
    is_module = isinstance(value, torch.nn.Module)
    return {n: v for n, v in vars(value).items() if not (is_module and n in OF_MODULES)}


def is_of_user(kind: type) -> bool:
    """Whether the class is written in a file of the user, and its objects have attributes."""
    if not hasattr(kind, "__dict__") or kind.__dictoffset__ == 0:
        return False
    functions = (held for held in vars(kind).values() if inspect.isfunction(held))
    first = next(functions, None)
    return first is not None and is_user_file(first.__code__.co_filename)


def _may_count(value: object) -> bool:
    return hasattr(value, "__dict__") and not isinstance(value, _WITHOUT_COUNTERS)


def _numbers_of(value: object) -> dict[str, float]:
    return {name: held for name, held in vars(value).items() if type(held) in _NUMBERS}


def _objects_in(value: object, depth: int) -> Iterator[object]:
    if depth > 0 and is_of_user(type(value)):
        yield value
        for held in own_attributes(value).values():
            yield from _objects_in(held, depth - 1)


def _copies(values: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
    """Arrays among `values` with copies of them, up to `MAX_BYTES`."""
    left = MAX_BYTES
    for value in values:
        if type(value) is np.ndarray and value.flags.writeable and not value.dtype.hasobject:
            left -= value.nbytes
            if left >= 0:
                yield value, value.copy()
        elif type(value) is torch.Tensor and not value.requires_grad:
            left -= value.nbytes
            if left >= 0:
                yield value, value.clone()
