"""Which names of a program may stand for the same object.

No value is looked up: an object is followed from name to name by assignments, arguments and
results. Names of the same scope or class are one place, so that a place may hold several objects.
"""

from __future__ import annotations

import ast
import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from stayfinite.repair.scope import Function, bound_names, enclosing
from stayfinite.repair.source import SourceFile

# What stands for an object: a name with its scope, an attribute with its class, or a result.
Place = str
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
# Methods that give the object itself.
_GIVE_SELF = frozenset(
    "bfloat16 bind compile cpu cuda double eval float half requires_grad_ to train".split()
)


class ObjectPlaces:
    """The files of a program, with the names in them.

    Args:
        sources: Each file.
    """

    def __init__(self, sources: Iterable[SourceFile]) -> None:
        self.sources = list(sources)
        self._functions: dict[str, list[tuple[SourceFile, Function]]] = defaultdict(list)
        self._classes: dict[str, ast.ClassDef] = {}
        self._assigned: dict[str, set[str]] = defaultdict(set)
        self._by_module: dict[str, str] = {Path(s.path).stem: s.path for s in self.sources}
        self._imported: dict[str, dict[str, str]] = {}
        self._bound: dict[ast.AST, set[str]] = {}
        self._given_to: dict[Place, set[Place]] = defaultdict(set)
        self._given_by: dict[Place, set[Place]] = defaultdict(set)
        for source in self.sources:
            self._define(source)
        for source in self.sources:
            for node in ast.walk(source.tree):
                self._enter(source, node)

    def same(self, places: Iterable[Place]) -> set[Place]:
        """Every place that may hold an object of `places`."""
        return reached(reached(places, self._given_by), self._given_to)

    def place(self, source: SourceFile, node: ast.AST) -> Place | None:
        """What `node` stands for; None if it is no name, attribute or element."""
        if isinstance(node, ast.Subscript | ast.Starred):
            return self.place(source, node.value)
        if isinstance(node, ast.Attribute):
            module = self._module(source, node.value)
            if module is not None:
                return f"{node.attr} in {self._by_module.get(module, module)}"
            return f"{self._class_with(source, node)}.{node.attr}"
        if isinstance(node, ast.arg):
            return self._name(source, node, node.arg)
        return self._name(source, node, node.id) if isinstance(node, ast.Name) else None

    def places(self, source: SourceFile, node: ast.AST | None) -> Iterator[Place]:
        """As `place`, with what a call may give."""
        place = None if node is None else self.place(source, node)
        if place is not None:
            yield place
        elif isinstance(node, ast.Tuple | ast.List | ast.Set):
            for each in node.elts:
                yield from self.places(source, each)
        elif isinstance(node, ast.Dict):
            for each in node.values:
                yield from self.places(source, each)
        elif isinstance(node, ast.IfExp):
            yield from self.places(source, node.body)
            yield from self.places(source, node.orelse)
        elif isinstance(node, ast.NamedExpr | ast.Await):
            yield from self.places(source, node.value)
        elif isinstance(node, ast.Call):
            yield from self._of_call(source, node)

    def _of_call(self, source: SourceFile, call: ast.Call) -> Iterator[Place]:
        name = last_name(call.func)
        if name in self._classes:
            yield f"self of {name}"
        elif name in self._functions:
            yield f"{name}()"
        else:
            # A library may give what it was given, as `D.to(device)` and `torch.compile(D)` do.
            receiver = call.func.value if isinstance(call.func, ast.Attribute) else None
            if receiver is not None and name in _GIVE_SELF and not self._module(source, receiver):
                yield from self.places(source, receiver)
            for each in (*call.args, *(k.value for k in call.keywords)):
                yield from self.places(source, each)

    def _module(self, source: SourceFile, node: ast.AST) -> str | None:
        """The module that a name may stand for, without its package."""
        return self._imported[source.path].get(node.id) if isinstance(node, ast.Name) else None

    def _define(self, source: SourceFile) -> None:
        imported = self._imported[source.path] = {}
        for node in ast.walk(source.tree):
            if isinstance(node, _FUNCTIONS):
                self._functions[node.name].append((source, node))
            elif isinstance(node, ast.ClassDef):
                self._classes[node.name] = node
            elif isinstance(node, ast.Import | ast.ImportFrom):
                for alias in node.names:
                    first = alias.asname or alias.name.partition(".")[0]
                    imported[first] = alias.name.rpartition(".")[2]
            elif isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load):
                owner = self._self_class(source, node.value)
                if owner is not None:
                    self._assigned[owner].add(node.attr)

    def _enter(self, source: SourceFile, node: ast.AST) -> None:
        """Join the places between which `node` passes an object."""
        if isinstance(node, ast.Assign):
            for target in node.targets:
                self._pass(source, target, source, node.value)
        elif isinstance(node, ast.AnnAssign | ast.NamedExpr):
            self._pass(source, node.target, source, node.value)
        elif isinstance(node, ast.For | ast.comprehension):
            self._pass_each(source, node.target, node.iter)
        elif isinstance(node, ast.withitem) and node.optional_vars is not None:
            self._pass(source, node.optional_vars, source, node.context_expr)
        elif isinstance(node, ast.Return) and node.value is not None:
            self._return(source, node, node.value)
        elif isinstance(node, ast.Call):
            self._call(source, node)
        elif isinstance(node, ast.ImportFrom):
            module = (node.module or "").rpartition(".")[2]
            paths = [self._by_module[module]] if module in self._by_module else []
            for alias in node.names:
                name = self._name(source, node, alias.asname or alias.name)
                for path in paths:
                    self._join(name, f"{alias.name} in {path}")
        elif isinstance(node, ast.ClassDef):
            for base in node.bases:
                if last_name(base) in self._classes:
                    self._join(f"self of {last_name(base)}", f"self of {node.name}")

    def _pass(
        self, source: SourceFile, target: ast.AST, given_in: SourceFile, value: ast.AST | None
    ) -> None:
        if isinstance(target, ast.Tuple | ast.List):
            for number, each in enumerate(target.elts):
                for place in self._element(given_in, value, number, len(target.elts)):
                    self._join(self.place(source, each), place)
            return
        for place in self.places(given_in, value):
            self._join(self.place(source, target), place)

    def _pass_each(self, source: SourceFile, target: ast.AST, items: ast.expr) -> None:
        rows = items.elts if isinstance(items, ast.Tuple | ast.List) else [items]
        for row in rows:
            self._pass(source, target, source, row)

    def _element(
        self, source: SourceFile, value: ast.AST | None, number: int, length: int
    ) -> Iterator[Place]:
        """One of the values that an assignment to several targets gives."""
        if isinstance(value, ast.Tuple | ast.List) and len(value.elts) == length:
            yield from self.places(source, value.elts[number])
        elif isinstance(value, ast.Call) and last_name(value.func) in self._functions:
            yield f"{last_name(value.func)}()[{number}]"
            yield f"{last_name(value.func)}()"
        elif isinstance(value, ast.Call) and len(value.args) == length:
            yield from self.places(source, value.args[number])
        else:
            yield from self.places(source, value)

    def _return(self, source: SourceFile, node: ast.Return, value: ast.expr) -> None:
        function = next((f for f in enclosing(source, node) if isinstance(f, _FUNCTIONS)), None)
        if function is None:
            return
        if isinstance(value, ast.Tuple):
            for number, each in enumerate(value.elts):
                for place in self.places(source, each):
                    self._join(f"{function.name}()[{number}]", place)
            return
        for place in self.places(source, value):
            self._join(f"{function.name}()", place)

    def _call(self, source: SourceFile, call: ast.Call) -> None:
        name = last_name(call.func)
        made = self._classes.get(name)
        if name == "__init__":
            return
        for other, function in self._functions["__init__" if made else name]:
            owner = next(enclosing(other, function), None)
            if made is not None and owner is not made:
                continue
            parameters = [*function.args.posonlyargs, *function.args.args]
            if isinstance(owner, ast.ClassDef):
                parameters = parameters[1:]
            for parameter, value in zip(parameters, call.args, strict=False):
                self._pass(other, parameter, source, value)
            named = {p.arg: p for p in (*parameters, *function.args.kwonlyargs)}
            for keyword in call.keywords:
                if keyword.arg in named:
                    self._pass(other, named[keyword.arg], source, keyword.value)

    def _join(self, target: Place | None, origin: Place) -> None:
        if target is not None:
            self._given_to[origin].add(target)
            self._given_by[target].add(origin)

    def _name(self, source: SourceFile, node: ast.AST, name: str) -> Place:
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
            if isinstance(scope, _FUNCTIONS) and isinstance(around, ast.ClassDef):
                first: Sequence[ast.arg] = [*scope.args.posonlyargs, *scope.args.args]
                return around.name if first and first[0].arg == node.id else None
        return None

    def _class_with(self, source: SourceFile, node: ast.Attribute) -> str:
        """The class whose methods assign the attribute; as little as is known of another object."""
        owner = self._self_class(source, node.value)
        if owner is None:
            having = [name for name, attrs in self._assigned.items() if node.attr in attrs]
            return having[0] if len(having) == 1 else ""
        rest = [owner]
        while rest:
            name = rest.pop(0)
            if node.attr in self._assigned[name]:
                return name
            rest += [
                last_name(b) for b in self._classes[name].bases if last_name(b) in self._classes
            ]
        return owner


def reached(places: Iterable[Place], edges: Mapping[Place, set[Place]]) -> set[Place]:
    """`places`, and all that edges lead to from there."""
    found: set[Place] = set()
    rest = list(places)
    while rest:
        place = rest.pop()
        if place not in found:
            found.add(place)
            rest += edges.get(place, ())
    return found


def last_name(node: ast.AST) -> str:
    """The last name of `a.b.c`; empty for anything else."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
