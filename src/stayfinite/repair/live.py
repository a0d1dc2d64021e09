"""The functions of the running program that were made from a file."""

from __future__ import annotations

import gc
import inspect
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import CellType, CodeType, FunctionType

from stayfinite.repair.codetree import Pair


def functions_of(path: str) -> list[FunctionType]:
    """All live functions whose code says that it comes from the file at `path`.

    Methods, closures, lambdas, and what decorators and partials hold are all found: each of them
    refers to a plain function, which the garbage collector lists.
    """
    wanted = Path(path).resolve()
    known: dict[str, bool] = {}
    found = []
    for thing in gc.get_objects():
        # Not isinstance: it asks proxies for their class, which may run code of the user.
        if type(thing) is FunctionType:
            filename = thing.__code__.co_filename
            if filename not in known:
                known[filename] = is_file(filename, wanted)
            if known[filename]:
                found.append(thing)
    return found


class KnownFunctions:
    """`functions_of` with one search of all objects of the program for each file.

    For a search that tries many patches in turn: it does not see functions that are made later.
    """

    def __init__(self) -> None:
        self._by_path: dict[str, list[FunctionType]] = {}

    def of(self, path: str) -> list[FunctionType]:
        """The functions of the file at `path` that existed at the first call."""
        if path not in self._by_path:
            self._by_path[path] = functions_of(path)
        return self._by_path[path]


def is_file(filename: str, wanted: Path) -> bool:
    """Whether code of `filename` comes from the file at the absolute path `wanted`.

    A script keeps the path it was started with, which may be relative to a folder left since.
    """
    if not filename.endswith(wanted.name):
        return False  # a program has thousands of files
    path = Path(filename)
    if path.name != wanted.name:
        return False
    if path.is_absolute():
        return path.resolve() == wanted
    return path.resolve() == wanted or wanted.parts[-len(path.parts) :] == path.parts


class Matcher:
    """Finds the pair that a live function was made from."""

    def __init__(self, pairs: Iterable[Pair]) -> None:
        self._pairs: dict[tuple[str, int], list[Pair]] = {}
        self._names: set[str] = set()
        for pair in pairs:
            if pair.is_function:
                self._pairs.setdefault(_key(pair.old), []).append(pair)
                self._names.add(pair.old.co_qualname)

    def pair_of(self, function: FunctionType) -> Pair | None:
        """The pair whose old code equals the function's (equality compares names, constants,
        bytecode and lines, not the file)."""
        code = function.__code__
        return next((p for p in self._pairs.get(_key(code), []) if p.old == code), None)

    def is_other_version(self, function: FunctionType) -> bool:
        """Whether the function is one of ours by name, with other code."""
        code = function.__code__
        return code.co_qualname in self._names and self.pair_of(function) is None


def _key(code: CodeType) -> tuple[str, int]:
    return code.co_qualname, code.co_firstlineno


def functions_with(codes: Iterable[CodeType]) -> dict[int, FunctionType]:
    """A function for each of `codes`, by the identity of the code: a live one, if there is one.

    A function in a function may have ended with the call that made it, as the body of a `scan` does
    once it is traced. It is made again, without the values of its closure and of its defaults, if
    a live function has the names of its file.

    Code objects of different files may be equal.
    """
    wanted = {id(code): code for code in codes}
    found: dict[int, FunctionType] = {}
    for thing in gc.get_referrers(*wanted.values()):
        if type(thing) is FunctionType and id(thing.__code__) in wanted:
            found.setdefault(id(thing.__code__), thing)
    globals_of = {each.__code__.co_filename: each.__globals__ for each in found.values()}
    for key, code in wanted.items():
        names = globals_of.get(code.co_filename)
        if key not in found and names is not None and code.co_flags & inspect.CO_NESTED:
            cells = tuple(CellType() for _ in code.co_freevars)
            found[key] = FunctionType(code, names, code.co_name, None, cells)
    return found


def instances_with(function: FunctionType) -> list[object]:
    """The live objects that have `function` as a method."""
    name = function.__code__.co_name
    owner: object = None
    names: Mapping[str, object] = function.__globals__
    for part in function.__qualname__.split(".")[:-1]:
        owner = names.get(part)
        names = vars(owner) if isinstance(owner, type) else {}
    # A class that is no longer, or never was, a global name takes another look at all objects.
    owners = (
        [owner]
        if isinstance(owner, type) and names.get(name) is function
        else [
            owner
            for names in gc.get_referrers(function)
            if isinstance(names, dict) and names.get(name) is function
            for owner in gc.get_referrers(names)
            if isinstance(owner, type) and vars(owner).get(name) is function
        ]
    )
    classes: dict[type, None] = {}
    while owners:
        kind = owners.pop()
        classes[kind] = None
        owners += type.__subclasses__(kind)
    return [thing for thing in gc.get_referrers(*classes) if type(thing) in classes]
