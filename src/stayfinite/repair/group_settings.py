"""Where a program writes a setting into the groups of an optimizer: `group["lr"] = ...`."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from stayfinite.graph.graph import Span
from stayfinite.repair.loaded_files import loaded_sources
from stayfinite.repair.source import SourceFile

_GROUPS = "param_groups"
_Scope = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
# As names of code objects.
_MODULE, _LAMBDA = "<module>", "<lambda>"


def lines_that_set(name: str) -> list[Span]:
    """The statements of the loaded files of the user that write `name` into a group."""
    return [span for source in loaded_sources() for span in _in_file(source, name)]


def _in_file(source: SourceFile, name: str) -> Iterator[Span]:
    if _GROUPS not in source.text:
        return
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.Assign | ast.AugAssign):
            continue
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if any(_is_of_group(source, target, name) for target in targets):
            yield Span(
                source.path,
                node.lineno,
                node.col_offset,
                node.end_lineno or node.lineno,
                node.end_col_offset or node.col_offset,
                _name_of(_scope(source, node)),
            )


def _is_of_group(source: SourceFile, target: ast.expr, name: str) -> bool:
    """Whether `target` is `group[name]`, and `group` comes from `param_groups`."""
    if not isinstance(target, ast.Subscript) or not isinstance(target.slice, ast.Constant):
        return False
    if target.slice.value != name:
        return False
    group = target.value
    if not isinstance(group, ast.Name):
        return _reads_groups(group)
    inside = _scope(source, target) or source.tree
    return any(
        _binds(bound, group.id) and _reads_groups(value)
        for node in ast.walk(inside)
        for bound, value in _bindings(node)
    )


def _bindings(node: ast.AST) -> Iterator[tuple[ast.expr, ast.expr]]:
    if isinstance(node, ast.For | ast.AsyncFor | ast.comprehension):
        yield node.target, node.iter
    elif isinstance(node, ast.Assign):
        yield from ((target, node.value) for target in node.targets)


def _binds(target: ast.expr, name: str) -> bool:
    return any(isinstance(node, ast.Name) and node.id == name for node in ast.walk(target))


def _reads_groups(value: ast.expr) -> bool:
    return any(isinstance(node, ast.Attribute) and node.attr == _GROUPS for node in ast.walk(value))


def _scope(source: SourceFile, node: ast.AST) -> _Scope | None:
    return next((each for each in source.ancestors(node) if isinstance(each, _Scope)), None)


def _name_of(scope: _Scope | None) -> str:
    if scope is None:
        return _MODULE
    return _LAMBDA if isinstance(scope, ast.Lambda) else scope.name
