"""Which names of a program may stand for the same object.

No value is looked up: an object is followed from name to name by assignments, arguments and
results. Names of the same scope or class are one place, so that a place may hold several objects.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from stayfinite.repair.object_names import FUNCTIONS, ObjectNames, Place, last_name
from stayfinite.repair.scope import enclosing
from stayfinite.repair.source import SourceFile

# Methods that give the object itself.
_GIVE_SELF = frozenset(
    "bfloat16 bind compile cpu cuda double eval float half requires_grad_ to train".split()
)
# Methods that put an object into a collection.
_PUTTING = frozenset("add append appendleft extend insert put setdefault".split())
# Ends of the names of arguments of layers that are no networks and call none.
_SETTINGS = ("constraint", "initializer", "regularizer")
# What these give is a number, a text or an array.
_NO_OBJECT = (ast.BinOp, ast.Compare, ast.Constant, ast.JoinedStr, ast.UnaryOp)


class ObjectPlaces:
    """The places between which a program passes its objects.

    Args:
        sources: Each file.
    """

    def __init__(self, sources: Iterable[SourceFile]) -> None:
        self.sources = list(sources)
        self.names = ObjectNames(self.sources)
        self._given_to: dict[Place, set[Place]] = defaultdict(set)
        self._given_by: dict[Place, set[Place]] = defaultdict(set)
        self._numbers: set[Place] = set()
        self._objects: set[Place] = set()
        for source in self.sources:
            for node in ast.walk(source.tree):
                self._enter(source, node)

    def same(self, places: Iterable[Place]) -> set[Place]:
        """Every place that may hold an object of `places`."""
        origins = reached(places, self._given_by)
        # A size that a layer is made with is no part of it.
        return reached(origins - (self._numbers - self._objects), self._given_to)

    def places(self, source: SourceFile, node: ast.AST | None) -> Iterator[Place]:
        """What `node` may stand for, with what a call may give."""
        place = None if node is None else self.names.place(source, node)
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
        if name in self.names.classes:
            yield f"self of {name}"
        elif name in self.names.functions:
            yield f"{name}()"
        else:
            # A library may give what it was given, as `D.to(device)` and `torch.compile(D)` do.
            receiver = call.func.value if isinstance(call.func, ast.Attribute) else None
            if (
                receiver is not None
                and name in _GIVE_SELF
                and not self.names.module(source, receiver)
            ):
                yield from self.places(source, receiver)
            for each in given(call):
                yield from self.places(source, each)

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
            paths = [self.names.by_module[module]] if module in self.names.by_module else []
            for alias in node.names:
                name = self.names.name(source, node, alias.asname or alias.name)
                for path in paths:
                    self._join(name, f"{alias.name} in {path}")
        elif isinstance(node, ast.ClassDef):
            for base in node.bases:
                if last_name(base) in self.names.classes:
                    self._join(f"self of {last_name(base)}", f"self of {node.name}")

    def _pass(
        self, source: SourceFile, target: ast.AST, given_in: SourceFile, value: ast.AST | None
    ) -> None:
        if isinstance(target, ast.Tuple | ast.List):
            if isinstance(value, ast.Tuple | ast.List) and len(value.elts) == len(target.elts):
                for each, part in zip(target.elts, value.elts, strict=True):
                    self._pass(source, each, given_in, part)
                return
            for number, each in enumerate(target.elts):
                for place in self._element(given_in, value, number, len(target.elts)):
                    self._join(self.names.place(source, each), place)
            return
        held_by = self.names.place(source, target)
        if held_by is not None:
            (self._numbers if _is_number(value) else self._objects).add(held_by)
        for origin in self.places(given_in, value):
            self._join(held_by, origin)

    def _pass_each(self, source: SourceFile, target: ast.AST, items: ast.expr) -> None:
        rows = items.elts if isinstance(items, ast.Tuple | ast.List) else [items]
        for row in rows:
            self._pass(source, target, source, row)

    def _element(
        self, source: SourceFile, value: ast.AST | None, number: int, length: int
    ) -> Iterator[Place]:
        """One of the values that an assignment to several targets gives."""
        if isinstance(value, ast.Call) and last_name(value.func) in self.names.functions:
            yield f"{last_name(value.func)}()[{number}]"
            yield f"{last_name(value.func)}()"
        elif isinstance(value, ast.Call) and len(value.args) == length:
            yield from self.places(source, value.args[number])
        else:
            yield from self.places(source, value)

    def _return(self, source: SourceFile, node: ast.Return, value: ast.expr) -> None:
        function = next((f for f in enclosing(source, node) if isinstance(f, FUNCTIONS)), None)
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
        made = self.names.classes.get(name)
        if name == "__init__":
            return
        if name in _PUTTING and isinstance(call.func, ast.Attribute):
            for value in call.args:
                self._pass(source, call.func.value, source, value)
        for other, function in self.names.functions.get("__init__" if made else name, ()):
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


def given(call: ast.Call) -> list[ast.expr]:
    """The arguments of a call to a library that may be networks, or hold one."""
    named = [k.value for k in call.keywords if not (k.arg or "").endswith(_SETTINGS)]
    return [*call.args, *named]


def _is_number(value: ast.AST | None) -> bool:
    """Whether `value` is no object of the user, by its text: None may stand for one."""
    if isinstance(value, ast.Tuple | ast.List):
        return bool(value.elts) and all(_is_number(each) for each in value.elts)
    is_none = isinstance(value, ast.Constant) and value.value is None
    return isinstance(value, _NO_OBJECT) and not is_none


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
