"""Calls outside of any compiled step that lead from weights to an update: a step in several parts.

A loop may compute gradients in one call, and apply them in others. Functions of JAX have no state,
so the calls can be made again in this order. Which call an array came from is known by identity.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import CodeType
from typing import Any

import jax
import numpy as np

from stayfinite.frameworks.jax import private
from stayfinite.frameworks.jax.plain.mapped_steps import on_one_device
from stayfinite.frameworks.jax.plain.names_read import NamesRead
from stayfinite.frameworks.jax.plain.same_program import is_same_program
from stayfinite.frameworks.jax.plain.uncompiled import uncompiled
from stayfinite.graph.code_owner import is_user_file

# Calls that are kept, and the bytes of their results; the oldest are dropped before these.
MAX_CALLS = 256
MAX_BYTES = 256 * 2**20


@dataclass(eq=False)
class PureCall:
    """A call of a function without state.

    Attributes:
        function: The function.
        args: Its arguments by position.
        keywords: Those by name.
        out: Its result.
        name: What it is called, for messages; empty for a function of a library.
        is_gradient: Whether it computes gradients.
        instead: What the program was given in the place of `out`; a tree of the same structure.
        names: What the function read when it was traced; None if it reads the present values.
    """

    function: Callable[..., Any]
    args: tuple[Any, ...]
    keywords: Mapping[str, Any]
    out: Any
    name: str = ""
    is_gradient: bool = False
    instead: Any = None
    names: NamesRead | None = None

    @property
    def inputs(self) -> list[Any]:
        """The arrays that it was given."""
        return arrays_in((self.args, self.keywords))

    @functools.cached_property
    def num_bytes(self) -> int:
        """The size of its results."""
        return sum(array.nbytes for array in arrays_in(self.out))

    def made_again(self, args: Any, keywords: Any) -> Any:
        """Call the function with other arguments, op by op, with what it read when it was traced.

        Raises:
            CannotGuardError: it runs on several devices.
        """
        with contextlib.nullcontext() if self.names is None else self.names.bound():
            return on_one_device(uncompiled(self.function))(*args, **keywords)

    def is_same_program(self) -> bool | None:
        """Whether the function, traced again, is what was run; None where that is not known."""
        compiled = getattr(self.function, "compiled", self.function)
        names = self.names or NamesRead()
        return is_same_program(compiled, self.args, self.keywords, names)

    def given(self) -> Iterable[Any]:
        """Its results, each as the program may hold it."""
        return (self.out,) if self.instead is None else (self.out, self.instead)


@dataclass
class _Local(threading.local):
    """What is known of one thread."""

    calls: list[PureCall] = field(default_factory=list)
    makers: dict[int, PureCall] = field(default_factory=dict)
    pending: PureCall | None = None
    # Calls before this number were made before the last update.
    num_before: int = 0
    depth: int = 0


class CallTape:
    """The calls since the last update, of each thread.

    Attributes:
        is_on: Whether calls are noted.
        judged_elsewhere: The code of functions whose gradients go to a step that is guarded itself.
    """

    def __init__(self) -> None:
        self.is_on = False
        self.judged_elsewhere: set[CodeType] = set()
        self._local = _Local()

    @property
    def is_ignored(self) -> bool:
        """Whether a call that is made now is part of another one, or is being traced."""
        return not self.is_on or self._local.depth > 0 or private.is_inside_trace()

    @property
    def pending(self) -> PureCall | None:
        """The bad update of an optimizer that is not applied yet."""
        return self._local.pending

    @pending.setter
    def pending(self, call: PureCall | None) -> None:
        self._local.pending = call

    @property
    def is_empty(self) -> bool:
        """Whether no call is noted."""
        return not self._local.calls

    def made(self, function: Callable[..., Any], args: Any, keywords: Any) -> Any:
        """Call `function`; calls inside of it are not noted."""
        self._local.depth += 1
        try:
            return function(*args, **keywords)
        finally:
            self._local.depth -= 1

    def note(self, call: PureCall) -> None:
        """Keep a call."""
        local = self._local
        local.calls.append(call)
        # One that is as large as all may be is still needed.
        while len(local.calls) > 2 and (
            len(local.calls) > MAX_CALLS or sum(c.num_bytes for c in local.calls) > MAX_BYTES
        ):
            self._drop({id(local.calls[0])})
        for array in arrays_in(call.out):
            # What a function hands through was made by another call.
            local.makers.setdefault(id(array), call)

    def replace(self, call: PureCall, instead: Any) -> None:
        """The program is given `instead` in the place of the result of a call."""
        call.instead = instead
        for array in arrays_in(instead):
            self._local.makers.setdefault(id(array), call)

    def maker(self, array: Any) -> PureCall | None:
        """The call that has made an array."""
        return self._local.makers.get(id(array))

    def comes_from(self, tree: Any) -> bool:
        """Whether an array of `tree` was made by a call that is noted."""
        makers = self._local.makers
        return bool(makers) and any(id(array) in makers for array in arrays_in(tree))

    def leading_to(self, tree: Any) -> list[PureCall]:
        """The calls that the arrays of `tree` come from, in their order."""
        found: set[int] = set()
        wanted = [self.maker(array) for array in arrays_in(tree)]
        while wanted:
            call = wanted.pop()
            if call is not None and id(call) not in found:
                found.add(id(call))
                wanted += [self.maker(array) for array in call.inputs]
        return [call for call in self._local.calls if id(call) in found]

    def gradients(self) -> list[PureCall]:
        """The calls that compute gradients."""
        return [call for call in self._local.calls if call.is_gradient]

    def note_judged(self, tree: Any) -> None:
        """The arrays of `tree` are given to a step that is guarded itself."""
        codes = (code_of(call.function) for call in self.leading_to(tree) if call.is_gradient)
        self.judged_elsewhere.update(code for code in codes if code is not None)

    def end_step(self, used: Iterable[PureCall]) -> None:
        """An update was made by the calls `used`. What is older than the last update is dropped."""
        local = self._local
        self._drop({id(call) for call in (*used, *local.calls[: local.num_before])})
        local.num_before = len(local.calls)

    def _drop(self, dropped: set[int]) -> None:
        local = self._local
        before = local.calls[: local.num_before]
        local.num_before = sum(id(call) not in dropped for call in before)
        local.calls = [call for call in local.calls if id(call) not in dropped]
        local.makers = {k: call for k, call in local.makers.items() if id(call) not in dropped}

    def clear(self) -> None:
        """Drop every call."""
        self._local.calls.clear()
        self._local.makers.clear()
        self.judged_elsewhere.clear()
        self._local.num_before = 0


def arrays_in(tree: Any) -> list[Any]:
    """The arrays among the leaves of `tree`."""
    return [leaf for leaf in jax.tree.leaves(tree) if isinstance(leaf, jax.Array | np.ndarray)]


def code_of(function: Any) -> CodeType | None:
    """The code of the innermost function that others wrap; None where that is no function."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return code if isinstance(code, CodeType) else None


def name_of_user(function: Any) -> str:
    """The name of a function of the user's; empty for one of a library."""
    function = inspect.unwrap(function)
    code = code_of(function)
    is_user = code is not None and is_user_file(code.co_filename)
    return str(function.__name__) if is_user else ""


def key_of(function: Callable[..., Any], args: Sequence[Any]) -> int:
    """What is the same in each call of a function, or of `tree.map` at one place."""
    code = getattr(args[0], "__code__", None) if args else None
    return id(function) if code is None else id(code)


# One for the process: the calls of a program lead to updates of either kind.
TAPE = CallTape()
