"""The names in the scope of an expression, and the modules that they stand for.

Nothing is imported: a module counts only if the user's program has already loaded it.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from types import ModuleType

from stayfinite.repair.live import functions_of
from stayfinite.repair.source import SourceFile

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_BLOCKS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


def enclosing(source: SourceFile, node: ast.AST) -> Iterator[Function | ast.ClassDef]:
    """The functions and classes whose body holds `node`, innermost first.

    Decorators, default values and annotations belong to the scope outside the function.
    """
    child = node
    for parent in source.ancestors(node):
        if isinstance(parent, ast.Lambda):
            if child is parent.body:
                yield parent
        elif isinstance(parent, _BLOCKS) and child in parent.body:
            yield parent
        child = parent


def enclosing_function(source: SourceFile, node: ast.AST) -> Function | None:
    """The innermost function whose body holds `node`."""
    found = next(enclosing(source, node), None)
    return found if isinstance(found, _FUNCTIONS) else None


def qualname(source: SourceFile, node: ast.AST) -> str | None:
    """The `__qualname__` of the function that runs `node`; `None` outside functions."""
    scopes = list(enclosing(source, node))
    if not scopes or isinstance(scopes[0], ast.ClassDef):
        return None
    parts: list[str] = []
    for scope in reversed(scopes):
        parts.append("<lambda>" if isinstance(scope, ast.Lambda) else scope.name)
        if isinstance(scope, _FUNCTIONS):
            parts.append("<locals>")
    return ".".join(parts[:-1])


def own_nodes(
    scope: Function | ast.ClassDef | ast.Module, skip: type[ast.AST] | None = None
) -> Iterator[ast.AST]:
    """The nodes that run in `scope` itself, in source order, nested functions left out.

    The inside of nodes of type `skip` is left out too.
    """
    body = scope.body if isinstance(scope.body, list) else [scope.body]
    stack: list[ast.AST] = list(reversed(body))
    while stack:
        node = stack.pop()
        yield node
        if not isinstance(node, (*_FUNCTIONS, ast.ClassDef, *((skip,) if skip else ()))):
            stack.extend(reversed(list(ast.iter_child_nodes(node))))


def bound_names(scope: Function | ast.ClassDef | ast.Module) -> Iterator[tuple[str, ast.AST]]:
    """Each binding of a name in `scope`, with the node that binds it."""
    if isinstance(scope, _FUNCTIONS):
        for argument in ast.walk(scope.args):
            if isinstance(argument, ast.arg):
                yield argument.arg, argument
    for node in own_nodes(scope):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            yield node.id, node
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name, node
        elif isinstance(node, ast.Import | ast.ImportFrom):
            for alias in node.names:
                yield alias.asname or alias.name.partition(".")[0], node
        elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
            yield node.name, node


def dotted(node: ast.AST) -> list[str] | None:
    """`a.b.c` as `["a", "b", "c"]`; `None` for anything else."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return [node.id, *reversed(parts)] if isinstance(node, ast.Name) else None


def live_object(path: str) -> object | None:
    """What a dotted path names among the modules already loaded."""
    parts = path.split(".")
    for count in range(len(parts), 0, -1):
        found: object | None = sys.modules.get(".".join(parts[:count]))
        if found is not None:
            for part in parts[count:]:
                found = getattr(found, part, None)
            return found
    return None


class Scope:
    """The names in scope at one node of a file."""

    def __init__(self, source: SourceFile, node: ast.AST) -> None:
        self.source = source
        self._qualname = qualname(source, node)
        scopes = enclosing(source, node)
        functions = [scope for scope in scopes if not isinstance(scope, ast.ClassDef)]
        self.paths: dict[str, str] = {}
        self.taken: set[str] = set()
        self.local: set[str] = set()
        for scope in (source.tree, *reversed(functions)):
            self._enter(scope)
        self._forget_new_cells(functions)

    def _enter(self, scope: Function | ast.Module) -> None:
        names = {name for name, _ in bound_names(scope)}
        self.taken |= names
        if scope is not self.source.tree:
            self.local |= names
        for name in names:
            self.paths.pop(name, None)  # shadowed, unless by one of the imports below
        for node in own_nodes(scope):
            for name, path in _imports(node):
                self.paths[name] = path
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                path_of_value = self.path(node.value)
                if path_of_value is not None:
                    self.paths[node.targets[0].id] = path_of_value

    def _forget_new_cells(self, functions: list[Function]) -> None:
        """Leave out names of outer functions that the function does not use already.

        They would become closure variables, and a live function cannot get another one.
        """
        inner = functions[0] if functions else None
        used = {n.id for n in ast.walk(inner) if isinstance(n, ast.Name)} if inner else set()
        own = {name for name, _ in bound_names(inner)} if inner else set()
        for name in self.local - own - used:
            self.paths.pop(name, None)

    def path(self, node: ast.AST) -> str | None:
        """The dotted path that `a.b.c` stands for, as far as imports say."""
        parts = dotted(node)
        if parts is None:
            return None
        root = self.path_of_name(parts[0])
        return None if root is None else ".".join([root, *parts[1:]])

    @cached_property
    def module_names(self) -> dict[str, object]:
        """The globals of the loaded module of the file.

        The text of a cell is in no module: its names are the globals of the functions that it
        defined. Empty where none is alive.
        """
        name = Path(self.source.path).name
        for module in list(sys.modules.values()):
            # Other types are lazy modules, whose attributes load other modules.
            file = vars(module).get("__file__") if type(module) is ModuleType else None
            if isinstance(file, str) and file.endswith(name) and _same(file, self.source.path):
                return vars(module)
        return _globals_of(self.source.path, self._qualname)

    @property
    def names(self) -> list[str]:
        """The names that may stand for a module or a function of one."""
        modules = [
            name for name, value in self.module_names.items() if isinstance(value, ModuleType)
        ]
        return list(dict.fromkeys((*self.paths, *(n for n in modules if n not in self.local))))

    def path_of_name(self, name: str) -> str | None:
        """The dotted path that a name stands for.

        Imports may differ by branch (`try: ... except ImportError:`), so the loaded module decides.
        """
        if name not in self.local and isinstance(module := self.module_names.get(name), ModuleType):
            return module.__name__
        return self.paths.get(name)

    def is_free(self, name: str) -> bool:
        """Whether neither the file nor the loaded module calls anything `name`."""
        return name not in self.taken and name not in self.module_names

    def free_name(self, *names: str) -> str:
        """The first of `names` that is free, else the last one with a number."""
        numbered = (f"{names[-1]}_{number}" for number in range(2, 1000))
        return next(name for name in (*names, *numbered) if self.is_free(name))


def _globals_of(path: str, qualname: str | None) -> dict[str, object]:
    """The globals of the live functions made from `path`, of those named `qualname` if any are.

    Texts of `exec` may share one name: of several namespaces, what all of them hold.
    """
    functions = [f for f in functions_of(path) if f.__code__.co_filename == path]
    named = [function for function in functions if function.__code__.co_qualname == qualname]
    spaces = {id(f.__globals__): f.__globals__ for f in named or functions}
    first, *others = list(spaces.values()) or [{}]
    if not others:
        return first
    return {
        name: value
        for name, value in first.items()
        if all(other.get(name) is value for other in others)
    }


def _imports(node: ast.AST) -> Iterator[tuple[str, str]]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            root = alias.name.partition(".")[0]
            yield (alias.asname, alias.name) if alias.asname else (root, root)
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        for alias in node.names:
            yield alias.asname or alias.name, f"{node.module}.{alias.name}"


def _same(first: str, second: str) -> bool:
    try:
        return Path(first).resolve() == Path(second).resolve()
    except OSError:
        return False
