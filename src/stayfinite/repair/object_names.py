"""What a name of a program stands for: a name with its scope, an attribute with its class."""

from __future__ import annotations

import ast
import itertools
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from stayfinite.repair.scope import Function, bound_names, enclosing
from stayfinite.repair.source import SourceFile

# What stands for an object: a name with its scope, an attribute with its class, or a result.
Place = str
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


class ObjectNames:
    """The names in the files of a program.

    Args:
        sources: Each file.

    Attributes:
        functions: The functions of each name, with their files.
        classes: The class of each name.
        by_module: The path of each module, without its package.
    """

    def __init__(self, sources: Iterable[SourceFile]) -> None:
        self.functions: dict[str, list[tuple[SourceFile, Function]]] = defaultdict(list)
        self.classes: dict[str, ast.ClassDef] = {}
        self.by_module: dict[str, str] = {}
        self._assigned: dict[str, set[str]] = defaultdict(set)
        self._having: dict[str, set[str]] = defaultdict(set)
        self._imported: dict[str, dict[str, str]] = {}
        self._bound: dict[ast.AST, set[str]] = {}
        for source in sources:
            self.by_module[Path(source.path).stem] = source.path
            self._define(source)

    def place(self, source: SourceFile, node: ast.AST) -> Place | None:
        """What `node` stands for; None if it is no name, attribute or element."""
        if isinstance(node, ast.Subscript | ast.Starred):
            return self.place(source, node.value)
        if isinstance(node, ast.Attribute):
            module = self.module(source, node.value)
            if module is not None:
                return f"{node.attr} in {self.by_module.get(module, module)}"
            return f"{self._class_with(source, node)}.{node.attr}"
        if isinstance(node, ast.arg):
            return self.name(source, node, node.arg)
        return self.name(source, node, node.id) if isinstance(node, ast.Name) else None

    def module(self, source: SourceFile, node: ast.AST) -> str | None:
        """The module that a name may stand for, without its package."""
        return self._imported[source.path].get(node.id) if isinstance(node, ast.Name) else None

    def _define(self, source: SourceFile) -> None:
        imported = self._imported[source.path] = {}
        for node in ast.walk(source.tree):
            if isinstance(node, FUNCTIONS):
                self.functions[node.name].append((source, node))
            elif isinstance(node, ast.ClassDef):
                self.classes[node.name] = node
            elif isinstance(node, ast.Import | ast.ImportFrom):
                for alias in node.names:
                    first = alias.asname or alias.name.partition(".")[0]
                    imported[first] = alias.name.rpartition(".")[2]
            elif isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load):
                owner = self._self_class(source, node.value)
                if owner is not None:
                    self._assigned[owner].add(node.attr)
                    self._having[node.attr].add(owner)

    def name(self, source: SourceFile, node: ast.AST, name: str) -> Place:
        """What `name` stands for at `node`."""
        if isinstance(node, ast.arg):
            function = next(f for f in source.ancestors(node) if isinstance(f, Function))
            return f"{name} at {source.path}:{function.lineno}:{function.col_offset}"
        owner = self._self_class(source, node)
        if owner is not None:
            return f"self of {owner}"
        for scope in enclosing(source, node):
            if not isinstance(scope, ast.ClassDef) and name in self._bound_in(scope):
                return f"{name} at {source.path}:{scope.lineno}:{scope.col_offset}"
        return f"{name} in {source.path}"

    def _bound_in(self, scope: Function) -> set[str]:
        if scope not in self._bound:
            outer = {
                name
                for node in ast.walk(scope)
                if isinstance(node, ast.Global | ast.Nonlocal)
                for name in node.names
            }
            self._bound[scope] = {name for name, _ in bound_names(scope)} - outer
        return self._bound[scope]

    def _self_class(self, source: SourceFile, node: ast.AST) -> str | None:
        """The class of whose methods `node` is the first parameter."""
        if not isinstance(node, ast.Name):
            return None
        scopes = list(enclosing(source, node))
        for scope, around in itertools.pairwise(scopes):
            if isinstance(scope, FUNCTIONS) and isinstance(around, ast.ClassDef):
                first: Sequence[ast.arg] = [*scope.args.posonlyargs, *scope.args.args]
                return around.name if first and first[0].arg == node.id else None
        return None

    def _class_with(self, source: SourceFile, node: ast.Attribute) -> str:
        """The class whose methods assign the attribute; as little as is known of another object."""
        owner = self._self_class(source, node.value)
        if owner is None:
            having = self._having.get(node.attr, ())
            return next(iter(having)) if len(having) == 1 else ""
        rest = [owner]
        while rest:
            name = rest.pop(0)
            if node.attr in self._assigned[name]:
                return name
            rest += [last_name(b) for b in self.classes[name].bases if last_name(b) in self.classes]
        return owner


def last_name(node: ast.AST) -> str:
    """The last name of `a.b.c`; empty for anything else."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
