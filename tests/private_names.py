"""Finds private names of other packages in Python source."""

from __future__ import annotations

import ast
import functools
import sys
from collections.abc import Iterator, Set
from dataclasses import dataclass
from pathlib import Path

# Public by its spelling, private by its package's own word.
PRIVATE_MODULES = ("keras.src", "tensorflow.python")
# A name that is not wanted, the protocol of numbers of mpmath, that of `namedtuple`.
_PUBLIC = {"_", "_mpf_", "_fields", "_replace"}
# Functions, and mappings of attributes, that are given a name as a string.
_TAKE_A_NAME = {
    *("getattr", "setattr", "hasattr", "delattr", "getattr_static"),
    *("required", "owner_of", "set_attribute"),
}
_CALLS = _TAKE_A_NAME | {"get", "pop"}
_LAST_PARTS = {module.rpartition(".")[2] for module in PRIVATE_MODULES}


def is_private(name: str) -> bool:
    """Whether a name begins with one underscore."""
    return name.startswith("_") and not name.startswith("__") and name not in _PUBLIC


def private_names(path: Path, package: Path) -> list[str]:
    """`line: name` of each private name of another package in the file `path` of `package`.

    What the classes of this file, and those that they inherit from inside the package, define is
    their own. The standard library is left out.
    """
    own = _defined(path, package, set())
    return [f"{line}: {name}" for line, name in _found(_nodes(path), own)]


@functools.cache
def _nodes(path: Path) -> list[ast.AST]:
    """All nodes of a file, that of the module first."""
    return list(ast.walk(ast.parse(path.read_text())))


@dataclass(frozen=True)
class _Classes:
    """Names that the classes of a file define, and the files that they inherit from."""

    names: frozenset[str]
    of: tuple[Path, ...]


def _found(nodes: list[ast.AST], own: Set[str]) -> Iterator[tuple[int, str]]:
    standard = {
        alias.asname or alias.name
        for node in nodes
        if isinstance(node, ast.Import)
        for alias in node.names
        if alias.name.partition(".")[0] in sys.stdlib_module_names
    }
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                if _is_private_module(alias.name):
                    yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            for alias in node.names:
                if _is_private_module(f"{node.module}.{alias.name}"):
                    yield node.lineno, f"{node.module}.{alias.name}"
        elif isinstance(node, ast.Attribute):
            of_standard = isinstance(node.value, ast.Name) and node.value.id in standard
            foreign = is_private(node.attr) and node.attr not in own and not of_standard
            if foreign or (node.attr in _LAST_PARTS and ast.unparse(node) in PRIVATE_MODULES):
                yield node.lineno, ast.unparse(node)
        elif isinstance(node, ast.Call) and _last(node.func) in _CALLS:
            for name in _strings(node.args):
                if is_private(name) and name not in own:
                    yield node.lineno, f"{ast.unparse(node.func)}(... {name!r})"
        elif isinstance(node, ast.Subscript):
            for name in _strings([node.slice]):
                if is_private(name) and name not in own and not _is_of(node.value, standard):
                    yield node.lineno, ast.unparse(node)


def _is_private_module(dotted: str) -> bool:
    parts = dotted.split(".")
    return any(map(is_private, parts)) or any(
        dotted == module or dotted.startswith(f"{module}.") for module in PRIVATE_MODULES
    )


def _last(function: ast.expr) -> str | None:
    """The name of a function that is called, without what it is an attribute of."""
    return getattr(function, "attr", getattr(function, "id", None))


def _strings(nodes: list[ast.expr]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _is_of(value: ast.expr, modules: set[str]) -> bool:
    """Whether `value` is `vars(module)` of one of `modules`."""
    return isinstance(value, ast.Call) and any(
        isinstance(argument, ast.Name) and argument.id in modules for argument in value.args
    )


def _defined(path: Path, package: Path, seen: set[Path]) -> frozenset[str]:
    """Private names that classes of a file define, and the classes of the package they are from."""
    if path in seen or not path.is_file():
        return frozenset()
    seen.add(path)
    classes = _classes(path, package)
    return classes.names.union(*(_defined(base, package, seen) for base in classes.of))


@functools.cache
def _classes(path: Path, package: Path) -> _Classes:
    nodes = _nodes(path)
    classes = [node for node in nodes if isinstance(node, ast.ClassDef)]
    names: set[str] = {_MARK} if _MARK in path.read_text() else set()
    for each in classes:
        for node in ast.walk(each):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                names.add(node.name)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                if isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"):
                    names.add(node.attr)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                names.add(node.id)
    bases = {ast.unparse(base).partition(".")[0] for each in classes for base in each.bases}
    inherited = tuple(
        _file_of(node.module or "", package)
        for node in ast.iter_child_nodes(nodes[0])
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(package.name)
        for alias in node.names
        if (alias.asname or alias.name) in bases
    )
    return _Classes(frozenset(names), inherited)


# What this package notes on objects of others.
_MARK = "_stayfinite_notes"


def _file_of(module: str, package: Path) -> Path:
    return package.parent.joinpath(*module.split(".")).with_suffix(".py")
