"""Interprets the user's functions: Python values are computed, tensors become nodes.

Nothing that is not understood is a failure: an unknown call is a leaf with its recorded value, an
unknown statement binds its names to unknown values.
"""

from __future__ import annotations

import ast
import builtins
import functools
import sys
import types
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from stayfinite.graph.source import is_user_file
from stayfinite.repair.extraction import creation, natives
from stayfinite.repair.extraction.leaves import Leaves
from stayfinite.repair.extraction.operations import (
    Arguments,
    CannotReadError,
    Formulas,
    as_constant,
    node_key,
)
from stayfinite.repair.extraction.recorded import ExpressionSpan, Recorded, RecordedCall
from stayfinite.repair.extraction.syntax import function_node, place_of
from stayfinite.repair.extraction.values import (
    Closure,
    DType,
    Frame,
    FunctionNode,
    Method,
    Moment,
    Pending,
    SourceOrigin,
    Tensor,
)
from stayfinite.repair.formula import Node
from stayfinite.repair.libraries import LIBRARIES, Function
from stayfinite.repair.source import SourceFile

_MAX_STEPS = 40_000
_MAX_DEPTH = 40
_OPERANDS = frozenset("x y condition minimum maximum indices".split())
_OPERATORS: dict[type[ast.AST], tuple[str, Callable[..., object]]] = {
    ast.Add: ("add", lambda a, b: a + b),
    ast.Sub: ("subtract", lambda a, b: a - b),
    ast.Mult: ("multiply", lambda a, b: a * b),
    ast.Div: ("divide", lambda a, b: a / b),
    ast.Pow: ("power", lambda a, b: a**b),
    ast.FloorDiv: ("floor_divide", lambda a, b: a // b),
    ast.Mod: ("mod", lambda a, b: a % b),
    ast.MatMult: ("matmul", lambda a, b: a @ b),
    ast.BitAnd: ("logical_and", lambda a, b: a & b),
    ast.BitOr: ("logical_or", lambda a, b: a | b),
    ast.BitXor: ("logical_xor", lambda a, b: a ^ b),
    ast.LShift: ("left_shift", lambda a, b: a << b),
    ast.RShift: ("right_shift", lambda a, b: a >> b),
    ast.Eq: ("equal", lambda a, b: a == b),
    ast.NotEq: ("not_equal", lambda a, b: a != b),
    ast.Lt: ("less", lambda a, b: a < b),
    ast.LtE: ("less_equal", lambda a, b: a <= b),
    ast.Gt: ("greater", lambda a, b: a > b),
    ast.GtE: ("greater_equal", lambda a, b: a >= b),
    ast.Is: ("is", lambda a, b: a is b),
    ast.IsNot: ("is_not", lambda a, b: a is not b),
    ast.In: ("in", lambda a, b: a in b),
    ast.NotIn: ("not_in", lambda a, b: a not in b),
}
_UNARY: dict[type[ast.unaryop], tuple[str, Callable[..., object]]] = {
    ast.USub: ("negative", lambda a: -a),
    ast.UAdd: ("identity", lambda a: +a),
    ast.Invert: ("logical_not", lambda a: ~a),
}
_BUILTIN_OPS = {id(abs): "abs", id(pow): "power", id(round): "round"}
_CASTS = {"float": "float32", "double": "float64", "half": "float16", "bfloat16": "bfloat16"}
# What a training does with the loss it has computed.
_SINKS = ("add_loss", "backward", "gradient")
_INPLACE = ("add_", "sub_", "mul_", "div_", "clamp_", "exp_", "log_", "neg_", "pow_", "sqrt_")


class GivesUpError(Exception):
    """The function is too long, or needs a value that nothing tells."""


class _Returned(Exception):
    def __init__(self, value: object) -> None:
        self.value = value


class _Left(Exception):
    """`break` or `continue`."""

    def __init__(self, again: bool) -> None:
        self.again = again


@dataclass
class Interpreter:
    """One run over a function and what it calls."""

    recorded: Recorded
    leaves: Leaves
    patched: Patched | None = None
    added_names: Mapping[str, object] = field(default_factory=dict)
    decisions: list[bool] = field(default_factory=list)
    earlier_decisions: list[bool] = field(default_factory=list)
    origins: dict[Node, list[SourceOrigin]] = field(default_factory=dict)
    evaluated: list[tuple[SourceOrigin, Node]] = field(default_factory=list)
    pure_calls: set[ExpressionSpan] = field(default_factory=set)
    sinks: list[object] = field(default_factory=list)
    returned: object = None
    has_torch_methods: bool = False
    _steps: int = 0
    _made: dict[int, object] = field(default_factory=dict)
    _attributes: dict[tuple[int, str], object] = field(default_factory=dict)
    _moments: list[Moment] = field(default_factory=list)
    _family: str = "keras"
    _sources: dict[str, SourceFile] = field(default_factory=dict)
    _waiting: list[tuple[Pending, SourceOrigin]] = field(default_factory=list)

    @property
    def formulas(self) -> Formulas:
        """The shapes of the nodes."""
        return self.leaves.formulas

    def roots(self) -> list[Node]:
        """What the run gave to `add_loss`, then what it returned."""
        return [node for value in (*self.sinks, self.returned) for node in tensors_in(value)]

    def settle(self) -> None:
        """Note where values were written that turned out to be tensors later."""
        for pending, origin in self._waiting:
            if pending.tensor is not None:
                self.origins.setdefault(pending.tensor.node, []).append(origin)
        self._waiting.clear()

    # Calls

    def call(self, frame: Frame) -> object:
        """What the function of `frame` returns."""
        if self._depth(frame) > _MAX_DEPTH:
            raise GivesUpError("the functions call each other too deeply")
        function = frame.function
        if isinstance(function, ast.Lambda):
            with self._moment(frame, function):
                return self.evaluate(function.body, frame)
        try:
            self._block(function.body, frame)
        except _Returned as returned:
            return returned.value
        return None

    def enter(
        self,
        function: types.FunctionType,
        positional: Sequence[object],
        named: Mapping[str, object],
        caller: SourceOrigin | None,
    ) -> object:
        """Interpret a living function; `LookupError` if it has no source."""
        frame = frame_of(function, caller, self.patched, self._sources)
        defaults = function.__defaults__ or ()
        frame.names.update(
            _bound(frame.function, positional, named, defaults, function.__kwdefaults__ or {})
        )
        return self.call(frame)

    # Statements

    def _block(self, statements: Sequence[ast.stmt], frame: Frame) -> None:
        for statement in statements:
            with self._moment(frame, statement):
                self._execute(statement, frame)

    @contextmanager
    def _moment(self, frame: Frame, statement: ast.stmt | ast.Lambda) -> Iterator[None]:
        self._count()
        self._moments.append(Moment(frame, statement, dict(frame.names)))
        try:
            yield
        finally:
            self._moments.pop()

    def _execute(self, statement: ast.stmt, frame: Frame) -> None:
        if isinstance(statement, ast.Assign):
            value = self.evaluate(statement.value, frame)
            for target in statement.targets:
                self._assign(target, value, frame)
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            self._assign(statement.target, self.evaluate(statement.value, frame), frame)
        elif isinstance(statement, ast.AugAssign):
            self._augmented(statement, frame)
        elif isinstance(statement, ast.Return):
            value = None if statement.value is None else self.evaluate(statement.value, frame)
            raise _Returned(value)
        elif isinstance(statement, ast.Expr):
            self.evaluate(statement.value, frame)
        elif isinstance(statement, ast.If):
            self._block(self._branch(statement, frame), frame)
        elif isinstance(statement, ast.For):
            self._for(statement, frame)
        elif isinstance(statement, ast.While):
            self._while(statement, frame)
        elif isinstance(statement, ast.With):
            self._with(statement, frame)
        elif isinstance(statement, ast.Try):
            self._block([*statement.body, *statement.orelse, *statement.finalbody], frame)
        elif isinstance(statement, ast.FunctionDef):
            frame.names[statement.name] = self._closure(statement, frame)
        elif isinstance(statement, ast.Import | ast.ImportFrom):
            self._import(statement, frame)
        elif isinstance(statement, ast.Break | ast.Continue):
            raise _Left(again=isinstance(statement, ast.Continue))
        elif isinstance(statement, ast.Raise):
            raise GivesUpError("the function raises an exception")
        elif not isinstance(statement, ast.Pass | ast.Assert | ast.Global | ast.Nonlocal):
            for node in ast.walk(statement):
                if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
                    frame.names[node.id] = Pending(node.id)

    def _assign(self, target: ast.expr, value: object, frame: Frame) -> None:
        if isinstance(target, ast.Name):
            frame.names[target.id] = value
        elif isinstance(target, ast.Tuple | ast.List):
            star = [i for i, t in enumerate(target.elts) if isinstance(t, ast.Starred)]
            if star:
                items = self._items(value)
                after = len(target.elts) - star[0] - 1
                middle = items[star[0] : len(items) - after]
                items = [*items[: star[0]], middle, *items[len(items) - after :]]
            else:
                items = self._items(value, len(target.elts))
            if len(items) != len(target.elts):
                raise GivesUpError("a value has another number of parts than expected")
            for part, item in zip(target.elts, items, strict=True):
                inner = part.value if isinstance(part, ast.Starred) else part
                self._assign(inner, item, frame)
        elif isinstance(target, ast.Subscript):
            container = self.evaluate(target.value, frame)
            key = self._key(target.slice, frame)
            if isinstance(container, list | dict) and self._own(container):
                container[key] = value  # type: ignore[call-overload]
            elif isinstance(target.value, ast.Name):
                # Part of a tensor is written: no formula for it.
                frame.names[target.value.id] = Pending(target.value.id)
        elif isinstance(target, ast.Attribute):
            self._attributes[id(self.evaluate(target.value, frame)), target.attr] = value

    def _augmented(self, statement: ast.AugAssign, frame: Frame) -> None:
        target = statement.target
        read = ast.copy_location(_loaded(target), target)
        left = self.evaluate(read, frame)
        right = self.evaluate(statement.value, frame)
        name, function = _OPERATORS[type(statement.op)]
        value = self._operator(name, function, [left, right], statement, frame)
        self._assign(target, value, frame)

    def _branch(self, statement: ast.If, frame: Frame) -> list[ast.stmt]:
        truth = self._truth(self.evaluate(statement.test, frame))
        if truth is None:
            truth = self._decide(frame, statement.body[0], statement.body[-1])
        return statement.body if truth else statement.orelse

    def _for(self, statement: ast.For, frame: Frame) -> None:
        for item in self._items(self.evaluate(statement.iter, frame)):
            self._count()
            self._assign(statement.target, item, frame)
            try:
                self._block(statement.body, frame)
            except _Left as left:
                if not left.again:
                    return
        self._block(statement.orelse, frame)

    def _while(self, statement: ast.While, frame: Frame) -> None:
        while True:
            self._count()
            truth = self._truth(self.evaluate(statement.test, frame))
            if truth is None:
                raise GivesUpError("the end of a loop depends on a tensor")
            if not truth:
                return
            try:
                self._block(statement.body, frame)
            except _Left as left:
                if not left.again:
                    return

    def _with(self, statement: ast.With, frame: Frame) -> None:
        for item in statement.items:
            value = self.evaluate(item.context_expr, frame)
            if item.optional_vars is not None:
                self._assign(item.optional_vars, value, frame)
        self._block(statement.body, frame)

    def _import(self, statement: ast.Import | ast.ImportFrom, frame: Frame) -> None:
        for alias in statement.names:
            name = alias.asname or alias.name.partition(".")[0]
            if isinstance(statement, ast.ImportFrom):
                module = sys.modules.get(statement.module or "")
                frame.names[name] = getattr(module, alias.name, Pending(name))
            else:
                path = alias.name if alias.asname else name
                frame.names[name] = sys.modules.get(path, Pending(name))

    # Expressions

    def evaluate(self, expression: ast.expr, frame: Frame) -> object:
        """The value of an expression."""
        self._count()
        method = getattr(self, f"_{type(expression).__name__.lower()}", None)
        if method is None:
            return Pending(ast.unparse(expression))
        value = method(expression, frame)
        self._remember(expression, value)
        return value

    def _remember(self, expression: ast.expr | ast.AugAssign, value: object) -> None:
        tensor = value.tensor if isinstance(value, Pending) else value
        if isinstance(value, Pending) and tensor is None:
            self._waiting.append((value, SourceOrigin(self._moments[-1], expression)))
            return
        node = tensor.node if isinstance(tensor, Tensor) else None
        if node is None:
            node = as_constant(value)
        if node is None or isinstance(expression, ast.Constant):
            return
        origin = SourceOrigin(self._moments[-1], expression)
        self.origins.setdefault(node, []).append(origin)
        if isinstance(tensor, Tensor):
            self.evaluated.append((origin, node))

    def _constant(self, expression: ast.Constant, frame: Frame) -> object:
        return expression.value

    def _name(self, expression: ast.Name, frame: Frame) -> object:
        return self._lookup(expression.id, frame)

    def _lookup(self, name: str, frame: Frame) -> object:
        around: Frame | None = frame
        while around is not None:
            if name in around.names:
                return around.names[name]
            if name in around.cells:
                return self._adopted(around.cells[name], name)
            around = around.outer
        if name in frame.globals:
            return self._adopted(frame.globals[name], name)
        if name in self.added_names:
            return self.added_names[name]
        return getattr(builtins, name, Pending(name))

    def _adopted(self, value: object, text: str) -> object:
        """An object of the program as a value here."""
        if isinstance(value, np.ndarray):
            return self.leaves.living_array(text, value)
        return self.leaves.living(text, value) if natives.is_living_tensor(value) else value

    def _attribute(self, expression: ast.Attribute, frame: Frame) -> object:
        base, name = self.evaluate(expression.value, frame), expression.attr
        text = _text(frame, expression)
        if (id(base), name) in self._attributes:
            return self._attributes[id(base), name]
        if isinstance(base, Tensor):
            return self._tensor_attribute(base, name, expression, frame)
        if isinstance(base, Pending):
            return self._pending_attribute(base, name, expression, frame)
        if isinstance(base, _Pair) and name in ("values", "indices"):
            return base.parts[name == "indices"]
        if isinstance(base, list | dict | set | str | tuple):
            return Method(base, name, text)
        try:
            value = getattr(base, name)
        except AttributeError:
            return Pending(text)
        return self._adopted(value, text)

    def _tensor_attribute(
        self, base: Tensor, name: str, expression: ast.Attribute, frame: Frame
    ) -> object:
        shape = self.formulas.shape(base.node)
        if name == "shape" and shape is not None:
            return shape
        if name == "ndim" and shape is not None:
            return len(shape)
        if name == "dtype":
            return DType(self.formulas.dtypes.get(base.node, "float32"))
        if name == "T":
            return self._applied("transpose", {"x": base, "axes": None}, expression, frame)
        if name in ("shape", "ndim", "device", "requires_grad", "grad"):
            return Pending(_text(frame, expression))
        return Method(base, name, _text(frame, expression))

    def _pending_attribute(
        self, base: Pending, name: str, expression: ast.Attribute, frame: Frame
    ) -> object:
        text = _text(frame, expression)
        if name in ("shape", "ndim", "dtype", "T") and self._ahead(base, frame):
            assert base.tensor is not None
            return self._tensor_attribute(base.tensor, name, expression, frame)
        if _is_called(expression, frame):
            return Method(base, name, text)
        return base.parts.setdefault(name, Pending(text))

    def _binop(self, expression: ast.BinOp, frame: Frame) -> object:
        name, function = _OPERATORS[type(expression.op)]
        operands = [self.evaluate(side, frame) for side in (expression.left, expression.right)]
        return self._operator(name, function, operands, expression, frame)

    def _unaryop(self, expression: ast.UnaryOp, frame: Frame) -> object:
        value = self.evaluate(expression.operand, frame)
        if isinstance(expression.op, ast.Not):
            truth = self._truth(value)
            return Pending(_text(frame, expression)) if truth is None else not truth
        name, function = _UNARY[type(expression.op)]
        return self._operator(name, function, [value], expression, frame)

    def _compare(self, expression: ast.Compare, frame: Frame) -> object:
        operands = [self.evaluate(e, frame) for e in (expression.left, *expression.comparators)]
        if len(expression.ops) == 1:
            name, function = _OPERATORS[type(expression.ops[0])]
            return self._operator(name, function, operands, expression, frame)
        value: object = True
        for op, left, right in zip(expression.ops, operands[:-1], operands[1:], strict=True):
            if not (natives.is_plain(left) and natives.is_plain(right)):
                return Pending(_text(frame, expression))
            value = value and _OPERATORS[type(op)][1](left, right)
        return value

    def _operator(
        self,
        name: str,
        function: Callable[..., object],
        operands: list[object],
        expression: ast.expr | ast.AugAssign,
        frame: Frame,
    ) -> object:
        if name in ("is", "is_not"):
            known = not any(isinstance(o, Pending) and o.tensor is None for o in operands)
            return function(*operands) if known else Pending(_text(frame, expression))
        if not any(isinstance(o, Tensor | Pending) for o in operands):
            try:
                value = function(*(o.name if isinstance(o, DType) else o for o in operands))
            except (ArithmeticError, TypeError, ValueError) as error:
                raise GivesUpError(str(error)) from error
            self._keep(value)
            return value
        roles = ("x",) if len(operands) == 1 else ("x", "y")
        arguments = dict(zip(roles, operands, strict=True))
        value = self._applied(name, arguments, expression, frame)
        if isinstance(expression, ast.AugAssign):
            self._remember(expression, value)
        return value

    def _boolop(self, expression: ast.BoolOp, frame: Frame) -> object:
        value: object = None
        for part in expression.values:
            value = self.evaluate(part, frame)
            truth = self._truth(value)
            if truth is None:
                return Pending(_text(frame, expression))
            if truth is isinstance(expression.op, ast.Or):
                return value
        return value

    def _ifexp(self, expression: ast.IfExp, frame: Frame) -> object:
        truth = self._truth(self.evaluate(expression.test, frame))
        if truth is None:
            truth = self._decide(frame, expression.body, expression.body)
        return self.evaluate(expression.body if truth else expression.orelse, frame)

    def _namedexpr(self, expression: ast.NamedExpr, frame: Frame) -> object:
        value = self.evaluate(expression.value, frame)
        self._assign(expression.target, value, frame)
        return value

    def _tuple(self, expression: ast.Tuple, frame: Frame) -> object:
        return tuple(self._elements(expression.elts, frame))

    def _list(self, expression: ast.List, frame: Frame) -> object:
        return self._keep(self._elements(expression.elts, frame))

    def _set(self, expression: ast.Set, frame: Frame) -> object:
        return self._keep(set(self._elements(expression.elts, frame)))

    def _dict(self, expression: ast.Dict, frame: Frame) -> object:
        found: dict[object, object] = {}
        for key, value in zip(expression.keys, expression.values, strict=True):
            made = self.evaluate(value, frame)
            if key is not None:
                found[self.evaluate(key, frame)] = made
            elif isinstance(made, dict):
                found.update(made)
        return self._keep(found)

    def _elements(self, parts: Sequence[ast.expr], frame: Frame) -> list[object]:
        found: list[object] = []
        for part in parts:
            if isinstance(part, ast.Starred):
                found += self._items(self.evaluate(part.value, frame))
            else:
                found.append(self.evaluate(part, frame))
        return found

    def _lambda(self, expression: ast.Lambda, frame: Frame) -> object:
        return self._closure(expression, frame)

    def _listcomp(self, expression: ast.ListComp, frame: Frame) -> object:
        return self._keep(list(self._comprehended(expression, frame)))

    def _setcomp(self, expression: ast.SetComp, frame: Frame) -> object:
        return self._keep(set(self._comprehended(expression, frame)))

    def _generatorexp(self, expression: ast.GeneratorExp, frame: Frame) -> object:
        return self._keep(list(self._comprehended(expression, frame)))

    def _dictcomp(self, expression: ast.DictComp, frame: Frame) -> object:
        return self._keep(dict(self._comprehended(expression, frame)))  # type: ignore[arg-type]

    def _comprehended(
        self, expression: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp, frame: Frame
    ) -> Iterator[object]:
        before = dict(frame.names)
        yield from self._loops(expression, list(expression.generators), frame)
        frame.names.clear()
        frame.names.update(before)

    def _loops(
        self,
        expression: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp,
        generators: list[ast.comprehension],
        frame: Frame,
    ) -> Iterator[object]:
        if not generators:
            statement = self._moments[-1].statement
            with self._moment(frame, statement):
                if isinstance(expression, ast.DictComp):
                    key = self.evaluate(expression.key, frame)
                    yield key, self.evaluate(expression.value, frame)
                else:
                    yield self.evaluate(expression.elt, frame)
            return
        first, *rest = generators
        for item in self._items(self.evaluate(first.iter, frame)):
            self._assign(first.target, item, frame)
            if all(self._truth(self.evaluate(test, frame)) for test in first.ifs):
                yield from self._loops(expression, rest, frame)

    def _subscript(self, expression: ast.Subscript, frame: Frame) -> object:
        base = self.evaluate(expression.value, frame)
        key = self._key(expression.slice, frame)
        text = _text(frame, expression)
        if isinstance(base, _Pair) and isinstance(key, int):
            return base.parts[key]
        if isinstance(base, Pending) and base.tensor is None:
            evaluation = self.recorded.evaluation(self._stack(expression))
            if evaluation is None and base.text not in self.leaves.earlier:
                # No operation was recorded: an element of a tuple or dictionary.
                return base.parts.setdefault(repr(key), Pending(text))
            self.leaves.match([base], evaluation)
            return self._indexed(base, key, expression, frame, evaluation)
        if isinstance(base, Tensor | Pending):
            evaluation = self.recorded.evaluation(self._stack(expression))
            return self._indexed(base, key, expression, frame, evaluation)
        try:
            return base[key]  # type: ignore[index]
        except (TypeError, KeyError, IndexError):
            return Pending(text)

    def _indexed(
        self,
        base: Tensor | Pending,
        key: object,
        expression: ast.Subscript,
        frame: Frame,
        evaluation: RecordedCall | None,
    ) -> object:
        text = _text(frame, expression)
        node = self.leaves.operand(base, text)
        assert node is not None
        try:
            if self.formulas.shape(node) is None:
                raise CannotReadError("the shape of what is indexed is not known")
            made = self.formulas.make("index", node, key=node_key(key))
        except CannotReadError:
            return self._unknown(text, evaluation)
        return self._recorded_as(made, evaluation)

    def _key(self, expression: ast.expr, frame: Frame) -> object:
        if isinstance(expression, ast.Slice):
            parts = (expression.lower, expression.upper, expression.step)
            values = [None if part is None else self.evaluate(part, frame) for part in parts]
            return slice(*values)
        if isinstance(expression, ast.Tuple):
            return tuple(self._key(part, frame) for part in expression.elts)
        return self.evaluate(expression, frame)

    def _joinedstr(self, expression: ast.JoinedStr, frame: Frame) -> object:
        return ast.unparse(expression)

    # Calls

    def _call(self, expression: ast.Call, frame: Frame) -> object:
        called = self.evaluate(expression.func, frame)
        positional = self._arguments(expression, called, frame)
        named = self._named_arguments(expression, frame)
        if isinstance(expression.func, ast.Attribute) and expression.func.attr in _SINKS:
            name = expression.func.attr
            receiver = called.receiver if isinstance(called, Method) else None
            self.sinks += [receiver] if name == "backward" else positional[:1]
            return Pending(_text(frame, expression))
        return self._called(called, positional, named, expression, frame)

    def _called(
        self,
        called: object,
        positional: list[object],
        named: dict[str, object],
        expression: ast.Call,
        frame: Frame,
    ) -> object:
        if isinstance(called, functools.partial):
            positional = [*called.args, *positional]
            named = {**called.keywords, **named}
            called = called.func
        if isinstance(called, Method):
            return self._method(called, positional, named, expression, frame)
        row = LIBRARIES.of(called)
        if row is not None:
            return self._library(row, positional, named, expression, frame)
        function = id(called)
        if function in _BUILTIN_OPS and any(isinstance(v, Tensor | Pending) for v in positional):
            self.pure_calls.add(place_of(frame.source, expression))
            roles = ("x", "y")
            arguments = dict(zip(roles, positional, strict=False))
            return self._applied(_BUILTIN_OPS[function], arguments, expression, frame)
        if isinstance(called, Closure):
            return self._closed(called, positional, named, expression)
        user = _user_function(called)
        if user is not None:
            if isinstance(called, types.MethodType):
                positional = [called.__self__, *positional]
            caller = SourceOrigin(self._moments[-1], expression)
            try:
                return self.enter(user, positional, named, caller)
            except LookupError:
                pass
        return self._native(called, positional, named, expression, frame)

    def _native(
        self,
        called: object,
        positional: list[object],
        named: dict[str, object],
        expression: ast.Call,
        frame: Frame,
    ) -> object:
        """Python's own functions; a call of anything else is a leaf."""
        is_pure = called is sum or called is len or natives.is_pure(called)
        if is_pure or natives.is_pure_of_library(called):
            self.pure_calls.add(place_of(frame.source, expression))
        if called is sum and positional and isinstance(positional[0], list | tuple):
            return self._summed(positional, expression, frame)
        if called is len and isinstance(positional[0] if positional else None, Tensor | Pending):
            shape = self._shape_of(positional[0], frame)
            return shape[0] if shape else Pending(_text(frame, expression))
        name = getattr(called, "__name__", "")
        if name in ("shape", "ndim", "rank", "size") and positional and not named:
            shape = self._shape_of(positional[0], frame)
            if shape is not None:
                return shape if name == "shape" else len(shape) if name != "size" else _size(shape)
        known = [self._known(value) for value in positional]
        made = creation.made_array(called, known, named)
        if made is not None:
            self.pure_calls.add(place_of(frame.source, expression))
            return self.leaves.array(_text(frame, expression), made)
        if positional:
            parts = self._parts(called, name, positional[0], positional[1:], named, frame)
            if parts is not None:
                self.pure_calls.add(place_of(frame.source, expression))
                return parts
        containers = (zip, enumerate, reversed, list, tuple, dict, isinstance, sorted, map, filter)
        if any(called is one for one in containers) and called not in (map, filter):
            return self._container(called, positional, named, expression, frame)
        if called is range or natives.is_pure(called):
            values = [*positional, *named.values()]
            plain = [v.name if isinstance(v, DType) else v for v in positional]
            if all(natives.is_plain(v) or isinstance(v, DType) for v in values):
                assert callable(called)
                try:
                    return self._keep(called(*plain, **named))
                except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
                    return Pending(_text(frame, expression))
        return self._unknown_call(expression, frame)

    def _known(self, value: object) -> object:
        """The array of a tensor that interpreted code made of plain values."""
        array = self.leaves.known.get(value.node) if isinstance(value, Tensor) else None
        return value if array is None else array

    def _parts(
        self,
        called: object,
        name: str,
        tensor: object,
        positional: Sequence[object],
        named: Mapping[str, object],
        frame: Frame,
    ) -> list[object] | None:
        """The parts of a tensor that a call takes apart along an axis."""
        asked = creation.num_parts(called, name, positional, named)
        if asked is None or not isinstance(tensor, Tensor | Pending):
            return None
        count, axis, goes = asked
        shape = self._shape_of(tensor, frame)
        if not shape or not -len(shape) <= axis < len(shape):
            return None
        node = self.leaves.operand(tensor, name)
        assert node is not None
        axis %= len(shape)
        before: tuple[Hashable, ...] = (("slice", None, None, None),) * axis
        count = shape[axis] if count is None else count
        if count < 1 or shape[axis] % count:
            return None
        length = shape[axis] // count
        keys: list[Hashable] = [
            i if goes else ("slice", i * length, (i + 1) * length, None) for i in range(count)
        ]
        return [Tensor(self.formulas.make("index", node, key=(*before, key))) for key in keys]

    def _container(
        self,
        called: object,
        positional: list[object],
        named: dict[str, object],
        expression: ast.Call,
        frame: Frame,
    ) -> object:
        """Functions that only arrange their arguments, which may be tensors."""
        if any(isinstance(v, Tensor | Pending) for v in positional) and called is not enumerate:
            if called is isinstance or called is sorted:
                return Pending(_text(frame, expression))
            positional = [
                self._items(v) if isinstance(v, Tensor | Pending) else v for v in positional
            ]
        elif called is enumerate:
            positional = [self._items(positional[0]), *positional[1:]]
        assert callable(called)
        try:
            made = called(*positional, **named)
        except (TypeError, ValueError):
            return Pending(_text(frame, expression))
        lazy = called in (zip, enumerate, reversed)
        return self._keep(list(made) if lazy else made)

    def _summed(self, positional: list[object], expression: ast.Call, frame: Frame) -> object:
        """`sum(list)` adds from the left, to 0."""
        total: object = positional[1] if len(positional) > 1 else 0
        for item in self._items(positional[0]):
            if isinstance(item, Tensor | Pending) or isinstance(total, Tensor | Pending):
                if total == 0 and len(positional) == 1:
                    total = item
                    continue
                total = self._operator("add", lambda a, b: a + b, [total, item], expression, frame)
            else:
                total = total + item  # type: ignore[operator]
        return total

    def _arguments(self, expression: ast.Call, called: object, frame: Frame) -> list[object]:
        found: list[object] = []
        for part in expression.args:
            if not isinstance(part, ast.Starred):
                found.append(self.evaluate(part, frame))
                continue
            value = self.evaluate(part.value, frame)
            wanted = _num_required(called) - len(found) - (len(expression.args) - 1)
            found += self._items(value, max(wanted, 1) if isinstance(value, Pending) else None)
        return found

    def _named_arguments(self, expression: ast.Call, frame: Frame) -> dict[str, object]:
        found: dict[str, object] = {}
        for keyword in expression.keywords:
            value = self.evaluate(keyword.value, frame)
            if keyword.arg is not None:
                found[keyword.arg] = value
            elif isinstance(value, dict):
                found.update({str(key): item for key, item in value.items()})
        return found

    def _closed(
        self,
        called: Closure,
        positional: list[object],
        named: dict[str, object],
        expression: ast.Call,
    ) -> object:
        caller = SourceOrigin(self._moments[-1], expression)
        names = _bound(called.function, positional, named, called.defaults, called.named_defaults)
        outer = called.frame
        frame = Frame(
            outer.source, called.function, names, outer.globals, outer.cells, None, outer, caller
        )
        return self.call(frame)

    def _closure(self, function: FunctionNode, frame: Frame) -> Closure:
        arguments = function.args
        defaults = tuple(self.evaluate(one, frame) for one in arguments.defaults)
        named = {
            one.arg: self.evaluate(value, frame)
            for one, value in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
            if value is not None
        }
        return Closure(function, frame, defaults, named)

    def _method(
        self,
        called: Method,
        positional: list[object],
        named: dict[str, object],
        expression: ast.Call,
        frame: Frame,
    ) -> object:
        receiver, name = called.receiver, called.name
        if not isinstance(receiver, Tensor | Pending):
            if natives.method_is_safe(receiver, name, self._own):
                if natives.only_reads(receiver, name):
                    self.pure_calls.add(place_of(frame.source, expression))
                try:
                    made = getattr(receiver, name)(*positional, **named)
                    views = name in ("items", "keys", "values")
                    return self._keep(list(made) if views else made)
                except (AttributeError, LookupError, TypeError, ValueError):
                    pass
            return Pending(_text(frame, expression))
        shape = self._shape_of(receiver, frame) if name in ("size", "dim") else None
        if shape is not None:
            axis = positional[0] if positional else None
            if name == "dim":
                return len(shape)
            return shape[axis] if isinstance(axis, int) else shape
        if name in _CASTS and not positional:
            arguments: Arguments = {"x": receiver, "dtype": _CASTS[name]}
            return self._applied("cast", arguments, expression, frame)
        in_place = name in _INPLACE
        row = LIBRARIES.method(name.removesuffix("_") if in_place else name, self._family)
        parts = self._parts(None, name, receiver, positional, named, frame)
        if row is None and parts is not None:
            self.pure_calls.add(place_of(frame.source, expression))
            return parts
        if row is None:
            return self._unknown_call(expression, frame)
        if not hasattr(np.ndarray, name) or "dim" in named or "keepdim" in named:
            self.has_torch_methods = True
        value = self._library(row, positional, named, expression, frame, receiver)
        if in_place and isinstance(expression.func, ast.Attribute):
            self._assign(_stored(expression.func.value), value, frame)
        return value

    def _library(
        self,
        row: Function,
        positional: list[object],
        named: dict[str, object],
        expression: ast.Call,
        frame: Frame,
        receiver: object = None,
    ) -> object:
        if row.home.startswith(("torch", "jax")):
            self._family = row.home.partition(".")[0]
        self.pure_calls.add(place_of(frame.source, expression))
        try:
            star = [p for p in row.parameters if p.role.startswith("*")]
            if star:
                several = positional[0] if len(positional) == 1 else tuple(positional)
                arguments: Arguments = {star[0].role[1:]: several}
            else:
                if row.home == "torch" and row.name in ("max", "min"):
                    return self._torch_extreme(row, positional, named, expression, frame, receiver)
                if row.op in ("reshape", "broadcast_to", "transpose") and len(positional) > 2:
                    positional = [positional[0], tuple(positional[1:])]
                given = dict(row.bind(positional, named))
                arguments = {k: v for k, v in given.items() if not k.startswith("ignored")}
                if any(given[k] is not None for k in given if k.startswith("ignored")):
                    raise CannotReadError("an option that has no node")
        except (TypeError, CannotReadError):
            return self._unknown_call(expression, frame)
        if receiver is not None:
            arguments["x"] = receiver
        return self._applied(row.op, arguments, expression, frame)

    def _torch_extreme(
        self,
        row: Function,
        positional: list[object],
        named: dict[str, object],
        expression: ast.Call,
        frame: Frame,
        receiver: object,
    ) -> object:
        """`max` of PyTorch: of all, of two, or along an axis with the positions."""
        operands = positional if receiver is None else [receiver, *positional]
        if len(operands) == 2 and isinstance(operands[1], Tensor | Pending):
            pair: Arguments = {"x": operands[0], "y": operands[1]}
            return self._applied(f"{row.op}imum", pair, expression, frame)
        full = LIBRARIES.named("torch", row.name)
        assert full is not None
        arguments: Arguments = dict(full.bind(operands, named))
        value = self._applied(row.op, arguments, expression, frame)
        if arguments.get("axis") is None:
            return value
        return _Pair((value, Pending(f"{_text(frame, expression)}.indices")))

    def _applied(
        self,
        op: str,
        arguments: Arguments,
        expression: ast.expr | ast.AugAssign,
        frame: Frame,
    ) -> object:
        """The node of an operation on tensors, with its recorded arrays."""
        evaluation = self.recorded.evaluation(self._stack(expression))
        operands = [arguments[role] for role in arguments if role in _OPERANDS]
        xs = arguments.get("xs")
        operands += list(xs) if isinstance(xs, list | tuple) else []
        self.leaves.match(operands, evaluation)
        texts = dict(zip(arguments, map(str, arguments), strict=True))
        try:
            read: Arguments = {}
            for role, value in arguments.items():
                if role in _OPERANDS and value is not None:
                    read[role] = self.leaves.operand(value, texts[role])
                elif role == "xs" and isinstance(value, list | tuple):
                    read[role] = [self.leaves.operand(item, texts[role]) for item in value]
                elif role == "dtype":
                    read[role] = _dtype_name(value)
                else:
                    read[role] = value
            made = self.formulas.apply(op, read)
        except (CannotReadError, KeyError):
            return self._unknown(_text(frame, expression), evaluation)
        return self._recorded_as(made, evaluation)

    def _recorded_as(self, made: Node, evaluation: RecordedCall | None) -> Tensor:
        result = None if evaluation is None else evaluation.result
        if result is not None and made not in self.leaves.recordings:
            shape = self.formulas.shape(made)
            if shape is None or shape == result.shape:
                self.leaves.record(made, result)
        return Tensor(made)

    def _unknown_call(self, expression: ast.Call, frame: Frame) -> object:
        evaluation = self.recorded.evaluation(self._stack(expression))
        return self._unknown(_text(frame, expression), evaluation)

    def _unknown(self, text: str, evaluation: RecordedCall | None) -> object:
        """The leaf of what cannot be looked into."""
        if evaluation is None or evaluation.result is None:
            return Pending(text)
        return self.leaves.named(text, evaluation.result)

    # Helpers

    def _decide(self, frame: Frame, first: ast.stmt | ast.expr, last: ast.stmt | ast.expr) -> bool:
        """Whether a branch was taken that depends on a tensor: something was computed there."""
        if len(self.decisions) < len(self.earlier_decisions):
            taken = self.earlier_decisions[len(self.decisions)]
        else:
            end = last.end_lineno or last.lineno
            taken = self.recorded.touches(frame.source.path, first.lineno, end)
        self.decisions.append(taken)
        return taken

    def _stack(self, expression: ast.expr | ast.AugAssign) -> list[ExpressionSpan]:
        frame: Frame | None = self._moments[-1].frame
        assert frame is not None
        places = [place_of(frame.source, expression)]
        while frame is not None and frame.caller is not None:
            caller = frame.caller
            places.append(place_of(caller.source, caller.expression))
            frame = caller.moment.frame
        return places

    def _ahead(self, pending: Pending, frame: Frame) -> bool:
        """Look for the recorded array of a parameter among its uses further down."""
        if pending.tensor is None and pending.text in self.leaves.earlier:
            self.leaves.resolve(pending, None)
        if pending.tensor is not None:
            return True
        for node in ast.walk(frame.function):
            operands: list[ast.expr] = []
            if isinstance(node, ast.BinOp):
                operands = [node.left, node.right]
            elif isinstance(node, ast.Call):
                operands = node.args
            elif isinstance(node, ast.UnaryOp):
                operands = [node.operand]
            elif isinstance(node, ast.Subscript):
                operands = [node.value]
            for position, operand in enumerate(operands):
                if not (isinstance(operand, ast.Name) and operand.id == pending.text):
                    continue
                assert isinstance(node, ast.expr)
                evaluation = self.recorded.evaluation(self._stack(node))
                if evaluation is not None and position < len(evaluation.inputs):
                    self.leaves.resolve(pending, evaluation.inputs[position])
                    return True
        return False

    def _shape_of(self, value: object, frame: Frame) -> tuple[int, ...] | None:
        if isinstance(value, Pending) and not self._ahead(value, frame):
            return None
        tensor = value.tensor if isinstance(value, Pending) else value
        return self.formulas.shape(tensor.node) if isinstance(tensor, Tensor) else None

    def _items(self, value: object, count: int | None = None) -> list[object]:
        if isinstance(value, Pending) and value.tensor is None:
            if count is None:
                raise GivesUpError("the number of elements is not known")
            return [
                value.parts.setdefault(repr(i), Pending(f"{value.text}[{i}]")) for i in range(count)
            ]
        if isinstance(value, Pending):
            value = value.tensor
        if isinstance(value, Tensor):
            shape = self.formulas.shape(value.node)
            if not shape:
                raise GivesUpError("the number of elements is not known")
            node = value.node
            return [Tensor(self.formulas.make("index", node, key=(i,))) for i in range(shape[0])]
        if isinstance(value, _Pair):
            return list(value.parts)
        try:
            return list(value)  # type: ignore[call-overload, no-any-return]
        except TypeError as error:
            raise GivesUpError(str(error)) from error

    def _truth(self, value: object) -> bool | None:
        """Whether a value counts as true; None if it depends on a tensor."""
        if isinstance(value, Tensor | Pending):
            return None
        return bool(value)

    def _keep(self, value: object) -> object:
        """Note that interpreted code made `value`, so that it may change it."""
        if isinstance(value, list | dict | set):
            self._made[id(value)] = value
        return value

    def _own(self, value: object) -> bool:
        return id(value) in self._made

    def _count(self) -> None:
        self._steps += 1
        if self._steps > _MAX_STEPS:
            raise GivesUpError("the function takes too many steps")

    def _depth(self, frame: Frame) -> int:
        depth = 0
        caller = frame.caller
        while caller is not None:
            depth += 1
            caller = caller.moment.frame.caller
        return depth


@dataclass(frozen=True, eq=False)
class _Pair:
    """What PyTorch's `max` along an axis gives: values and positions."""

    parts: tuple[object, object]


def tensors_in(value: object) -> list[Node]:
    """The nodes of the tensors in what a function returns."""
    if isinstance(value, Pending):
        value = value.tensor
    if isinstance(value, Tensor):
        return [value.node]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, tuple | list):
        return [node for item in value for node in tensors_in(item)]
    return []


@dataclass(frozen=True)
class Patched:
    """The text of a file before and after an edit that adds no function and removes none."""

    before: SourceFile
    after: SourceFile

    def function(self, node: FunctionNode) -> FunctionNode:
        """The function of the text before, in the text after."""
        old, new = (
            [n for n in ast.walk(source.tree) if isinstance(n, FunctionNode)]
            for source in (self.before, self.after)
        )
        return new[old.index(node)]


def frame_of(
    function: types.FunctionType,
    caller: SourceOrigin | None,
    patched: Patched | None,
    sources: dict[str, SourceFile],
) -> Frame:
    """A frame of a living function, without arguments. `sources` are the files read so far.

    Raises:
        LookupError: it has no source.
    """
    code = function.__code__
    try:
        source = sources.get(code.co_filename)
        if source is None:
            source = sources[code.co_filename] = SourceFile.of(code.co_filename)
        if patched is not None and patched.before.path == source.path:
            source = patched.before
        node = function_node(source, code)
    except (OSError, SyntaxError, UnicodeError) as error:
        raise LookupError(str(error)) from error
    if node is None:
        raise LookupError(f"{code.co_qualname} is not in {source.path}")
    if patched is not None and patched.before is source:
        source, node = patched.after, patched.function(node)
    cells: dict[str, object] = {}
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        try:
            cells[name] = cell.cell_contents
        except ValueError:
            continue  # not bound yet
    return Frame(source, node, {}, function.__globals__, cells, code, None, caller)


def _user_function(called: object) -> types.FunctionType | None:
    """The plain function behind what is called, if it is one of the user's."""
    if isinstance(called, types.MethodType):
        called = called.__func__
    called = getattr(called, "__wrapped__", called) if not isinstance(called, type) else called
    if not isinstance(called, types.FunctionType):
        return None
    return called if is_user_file(called.__code__.co_filename) else None


def _bound(
    function: FunctionNode,
    positional: Sequence[object],
    named: Mapping[str, object],
    defaults: Sequence[object],
    named_defaults: Mapping[str, object],
) -> dict[str, object]:
    """The parameters of a function with the arguments of a call; the missing ones are unknown."""
    arguments = function.args
    names = [one.arg for one in (*arguments.posonlyargs, *arguments.args)]
    found: dict[str, object] = dict(zip(names[len(names) - len(defaults) :], defaults, strict=True))
    found.update(named_defaults)
    found.update(zip(names, positional, strict=False))
    extra = {}
    for name, value in named.items():
        if name in names or any(name == one.arg for one in arguments.kwonlyargs):
            found[name] = value
        else:
            extra[name] = value
    if arguments.vararg is not None:
        found[arguments.vararg.arg] = tuple(positional[len(names) :])
    if arguments.kwarg is not None:
        found[arguments.kwarg.arg] = extra
    for one in (*names, *(a.arg for a in arguments.kwonlyargs)):
        found.setdefault(one, Pending(one))
    return found


def _num_required(called: object) -> int:
    if isinstance(called, Closure):
        arguments = called.function.args
        return len(arguments.posonlyargs) + len(arguments.args) - len(called.defaults)
    function = _user_function(called)
    if function is None:
        return 1
    return function.__code__.co_argcount - len(function.__defaults__ or ())


def _text(frame: Frame, expression: ast.expr | ast.AugAssign) -> str:
    if isinstance(expression, ast.AugAssign):
        expression = expression.target
    return " ".join(frame.source.text_of(expression).split())


def _loaded(target: ast.expr) -> ast.expr:
    if isinstance(target, ast.Name):
        return ast.Name(target.id, ast.Load())
    if isinstance(target, ast.Attribute):
        return ast.Attribute(target.value, target.attr, ast.Load())
    assert isinstance(target, ast.Subscript)
    return ast.Subscript(target.value, target.slice, ast.Load())


def _stored(expression: ast.expr) -> ast.expr:
    if isinstance(expression, ast.Name):
        return ast.copy_location(ast.Name(expression.id, ast.Store()), expression)
    return expression


def _is_called(expression: ast.expr, frame: Frame) -> bool:
    parent = frame.source.parents.get(expression)
    return isinstance(parent, ast.Call) and parent.func is expression


def _dtype_name(value: object) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, DType):
        return value.name
    name = getattr(value, "name", None) or getattr(value, "__name__", None) or str(value)
    last = str(name).rpartition(".")[2]
    return last if last.startswith(("float", "bfloat", "int", "uint", "bool")) else None


def _size(shape: tuple[int, ...]) -> int:
    return int(np.prod(shape, dtype=int))
