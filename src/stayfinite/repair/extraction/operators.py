"""Operations on values: Python computes plain ones, those on tensors become nodes."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence

from stayfinite.repair.extraction.formulas import Arguments, Formulas, as_constant
from stayfinite.repair.extraction.operations import apply
from stayfinite.repair.extraction.pairing import put_in_order
from stayfinite.repair.extraction.recorded import RecordedCall
from stayfinite.repair.extraction.run import GivesUpError, Run
from stayfinite.repair.extraction.shapes import CannotReadError
from stayfinite.repair.extraction.values import (
    DType,
    Frame,
    NamedFloat,
    NamedInt,
    Pending,
    Tensor,
    named_number,
)
from stayfinite.repair.formula import Node

_OPERANDS = frozenset("x y condition minimum maximum indices loc scale".split())
OPERATORS: dict[type[ast.AST], tuple[str, Callable[..., object]]] = {
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
UNARY_OPERATORS: dict[type[ast.unaryop], tuple[str, Callable[..., object]]] = {
    ast.USub: ("negative", lambda a: -a),
    ast.UAdd: ("identity", lambda a: +a),
    ast.Invert: ("logical_not", lambda a: ~a),
}


def applied(
    run: Run,
    op: str,
    arguments: Arguments,
    expression: ast.expr | ast.AugAssign,
    frame: Frame,
) -> object:
    """The node of an operation on tensors, with its recorded arrays."""
    evaluation = run.recorded.evaluation(run.stack(expression))
    operands = [arguments[role] for role in arguments if role in _OPERANDS]
    xs = arguments.get("xs")
    operands += list(xs) if isinstance(xs, list | tuple) else []
    if evaluation is not None and not evaluation.is_ordered and run.leaves.needs_order(operands):
        evaluation = _in_order(run, op, arguments, evaluation)
    run.leaves.match(operands, evaluation)
    texts = dict(zip(arguments, map(str, arguments), strict=True))
    try:
        read: Arguments = {}
        for role, value in arguments.items():
            if role in _OPERANDS and value is not None:
                read[role] = run.leaves.operand(value, texts[role])
            elif role == "xs" and isinstance(value, list | tuple):
                read[role] = [run.leaves.operand(item, texts[role]) for item in value]
            elif role == "dtype":
                read[role] = _dtype_name(value)
            else:
                read[role] = value
        made = apply(run.formulas, op, read)
    except (CannotReadError, KeyError):
        run.given_away += operands
        return run.unknown(frame.text_of(expression), evaluation)
    return run.recorded_as(made, evaluation)


def _in_order(run: Run, op: str, arguments: Arguments, evaluation: RecordedCall) -> RecordedCall:
    """The evaluation with its inputs in the order of those arguments that are tensors."""
    roles = [
        role
        for role, value in arguments.items()
        if role in _OPERANDS and isinstance(value, Tensor | Pending)
    ]

    def formula(formulas: Formulas, nodes: Sequence[Node]) -> Node:
        read = {
            role: as_constant(value) if role in _OPERANDS and value is not None else value
            for role, value in arguments.items()
        }
        return apply(formulas, op, read | dict(zip(roles, nodes, strict=True)))

    return put_in_order(evaluation, len(roles), formula, run.recorded.arrays)


def operator(
    run: Run,
    name: str,
    function: Callable[..., object],
    operands: list[object],
    expression: ast.expr | ast.AugAssign,
    frame: Frame,
) -> object:
    """The value of an operator; `function` computes it for plain operands."""
    if name in ("is", "is_not"):
        known = not any(isinstance(o, Pending) and o.tensor is None for o in operands)
        return function(*operands) if known else Pending(frame.text_of(expression))
    if not any(isinstance(o, Tensor | Pending) for o in operands):
        try:
            value = function(*(o.name if isinstance(o, DType) else o for o in operands))
        except (ArithmeticError, TypeError, ValueError) as error:
            raise GivesUpError(str(error)) from error
        run.keep(value)
        has_name = any(isinstance(o, NamedInt | NamedFloat) for o in operands)
        return named_number(value, frame.text_of(expression)) if has_name else value
    roles = ("x",) if len(operands) == 1 else ("x", "y")
    arguments = dict(zip(roles, operands, strict=True))
    value = applied(run, name, arguments, expression, frame)
    if isinstance(expression, ast.AugAssign):
        run.remember(expression, value)
    return value


def _dtype_name(value: object) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, DType):
        return value.name
    name = getattr(value, "name", None) or getattr(value, "__name__", None) or str(value)
    last = str(name).rpartition(".")[2]
    return last if last.startswith(("float", "bfloat", "int", "uint", "bool")) else None
