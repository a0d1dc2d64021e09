"""The names that functions of the user read, and what they were bound to when JAX traced them.

A compiled program keeps what it read when it was traced. The step that is traced again to explain
it has to read the same, although the program may have bound the names anew since.
"""

from __future__ import annotations

import contextlib
import dis
import functools
import inspect
from collections.abc import Callable, Iterator, MutableMapping
from dataclasses import dataclass, field
from types import CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import jax

from stayfinite.graph.code_owner import is_user_file

# Of the functions and classes that are looked at, and of the arrays in a value that is kept.
_MAX_OBJECTS = 2000
_MAX_BYTES = 2**16
_GLOBAL, _ATTRIBUTE = ("LOAD_GLOBAL", "LOAD_NAME"), ("LOAD_ATTR", "LOAD_METHOD")


@dataclass
class NamesRead:
    """Global names and variables of enclosing functions, with their values at one time."""

    _globals: list[tuple[MutableMapping[str, Any], str, Any]] = field(default_factory=list)
    _cells: list[tuple[CellType, Any]] = field(default_factory=list)

    @classmethod
    def of(cls, function: Callable[..., Any]) -> NamesRead:
        """What `function` reads now, and what the functions of the user do that it may call."""
        found = cls()
        todo: list[Any] = [function]
        seen: dict[int, Any] = {}
        while todo and len(seen) < _MAX_OBJECTS:
            thing = todo.pop()
            if id(thing) not in seen:
                seen[id(thing)] = thing
                todo += found._read_by(thing)
        return found

    @contextlib.contextmanager
    def bound(self) -> Iterator[None]:
        """Inside the block, the names are bound as they were."""
        with contextlib.ExitStack() as stack:
            for namespace, name, value in self._globals:
                now = namespace.get(name, _NOTHING)
                if now is not value and now is not _NOTHING:
                    namespace[name] = value
                    stack.callback(namespace.__setitem__, name, now)
            for cell, value in self._cells:
                now = _content(cell)
                if now is not value and now is not _NOTHING:
                    cell.cell_contents = value
                    stack.callback(setattr, cell, "cell_contents", now)
            yield

    def _read_by(self, thing: Any) -> list[Any]:
        """What `thing` reads, of which some may be functions."""
        if isinstance(thing, functools.partial):
            return [thing.func, *thing.args, *thing.keywords.values()]
        if isinstance(thing, MethodType):
            return [thing.__func__, type(thing.__self__)]
        if isinstance(thing, type):
            return list(vars(thing).values()) if _is_of_user(thing) else []
        if not isinstance(thing, FunctionType):
            # Compiled functions and the like, then instances of classes with methods.
            wrapped = inspect.unwrap(thing) if callable(thing) else thing
            return [wrapped] if wrapped is not thing else [type(thing)]
        if not is_user_file(thing.__code__.co_filename):
            return [thing.__wrapped__] if hasattr(thing, "__wrapped__") else []
        found = []
        for cell in thing.__closure__ or ():
            value = _content(cell)
            if value is not _NOTHING and _is_kept(value):
                self._cells.append((cell, value))
                found.append(value)
        for namespace, name in _global_names(thing):
            value = namespace[name]
            if _is_kept(value):
                self._globals.append((namespace, name, value))
                found.append(value)
        return found


_NOTHING = object()


def _content(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not bound yet
        return _NOTHING


def _global_names(function: FunctionType) -> Iterator[tuple[MutableMapping[str, Any], str]]:
    """The global names that a function reads, and names of modules of the user that it may."""
    namespace = function.__globals__
    globals_read, attributes = _names_in(function.__code__)
    modules = []
    for name in globals_read & namespace.keys():
        yield namespace, name
        value = namespace[name]
        if isinstance(value, ModuleType) and is_user_file(getattr(value, "__file__", None) or "<"):
            modules.append(vars(value))
    for module in modules:
        yield from ((module, name) for name in attributes & module.keys())


def _names_in(code: CodeType) -> tuple[set[str], set[str]]:
    """The global names and the attributes that a function, or one inside of it, reads."""
    globals_read, attributes = set[str](), set[str]()
    codes = [code]
    while codes:
        code = codes.pop()
        codes += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
        for instruction in dis.get_instructions(code):
            if instruction.opname in _GLOBAL:
                globals_read.add(instruction.argval)
            elif instruction.opname in _ATTRIBUTE:
                attributes.add(instruction.argval)
    return globals_read, attributes


def _is_of_user(kind: type) -> bool:
    functions = [value for value in vars(kind).values() if isinstance(value, FunctionType)]
    return any(is_user_file(function.__code__.co_filename) for function in functions)


def _is_kept(value: Any) -> bool:
    """Whether a value may be kept alive: it has no large array."""
    if isinstance(value, FunctionType | type | ModuleType | str | int | float):
        return True
    leaves = jax.tree.leaves(value)
    return sum(getattr(leaf, "nbytes", 0) for leaf in leaves) <= _MAX_BYTES


class TracedNames:
    """What each program of a compiled function read when it was traced, by any key of a program."""

    def __init__(self) -> None:
        self._read: dict[Any, NamesRead] = {}
        self._last = NamesRead()

    def note(self, key: Any, function: Callable[..., Any]) -> None:
        """The program `key` of `function` is traced; another trace of it changes nothing."""
        if key not in self._read:
            self._read[key] = self._last = NamesRead.of(function)

    def of(self, key: Any) -> NamesRead:
        """What a program reads; that of the newest one, if it was not traced in training."""
        return self._read.get(key, self._last)


def form_of(args: Any, keywords: Any) -> Any:
    """What decides whether JAX traces a call anew."""
    leaves, structure = jax.tree.flatten((args, dict(keywords)))
    return structure, tuple(
        (leaf.shape, str(leaf.dtype), getattr(leaf, "weak_type", False))
        if hasattr(leaf, "shape") and hasattr(leaf, "dtype")
        else type(leaf)
        for leaf in leaves
    )
