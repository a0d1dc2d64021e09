"""Identities as patterns over formulas, parsed from their text."""

from __future__ import annotations

import ast
import functools
from dataclasses import dataclass, field

from stayfinite.numerics.identities import IDENTITIES, Identity

OPERATORS: dict[type[ast.AST], str] = {
    ast.Add: "add",
    ast.Sub: "subtract",
    ast.Mult: "multiply",
    ast.Div: "divide",
    ast.Pow: "power",
}
# Operations that take the axis shared by the whole identity.
REDUCTIONS = frozenset({"sum", "mean", "max", "prod", "logsumexp"})
ALONG = frozenset({"softmax", "log_softmax"})


@dataclass(frozen=True)
class Pattern:
    """An operation on patterns, a variable (`op` is "?"), or a number (`op` is "#")."""

    op: str
    operands: tuple[Pattern, ...] = ()
    name: str = ""
    value: float = 0.0
    kept: bool = False  # a reduction that keeps its axis


@dataclass(frozen=True)
class Rule:
    """One direction of an identity."""

    identity: Identity
    left: Pattern
    right: Pattern
    positive: frozenset[str] = field(default=frozenset())
    non_negative: frozenset[str] = field(default=frozenset())
    extreme: bool = False


def parsed(text: str) -> Pattern:
    """The pattern that a side of an identity is.

    Raises:
        ValueError: the text is not a formula.
    """
    return _parsed(ast.parse(text, mode="eval").body)


def _parsed(tree: ast.expr) -> Pattern:
    match tree:
        case ast.Name(id=name):
            return Pattern("?", name=name)
        case ast.Constant(value=int() | float() as value):
            return Pattern("#", value=float(value))
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
            return Pattern("#", value=-float(value))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return Pattern("negative", (_parsed(operand),))
        case ast.BinOp(left=left, op=operator, right=right):
            return Pattern(OPERATORS[type(operator)], (_parsed(left), _parsed(right)))
        case ast.Call(func=ast.Name(id=name), args=arguments):
            parts = tuple(_parsed(argument) for argument in arguments)
            kept = name.endswith("_kept")
            return Pattern(name.removesuffix("_kept"), parts, kept=kept)
    raise ValueError(ast.unparse(tree))


def variables(pattern: Pattern) -> set[str]:
    """The names of the variables of a pattern."""
    if pattern.op == "?":
        return {pattern.name}
    return set().union(*(variables(operand) for operand in pattern.operands))


def _rules(identity: Identity) -> list[Rule]:
    positive, non_negative = set(), set()
    for condition in identity.conditions:
        if condition.endswith("> 0"):
            positive.add(condition.split()[0])
        elif condition.endswith(">= 0"):
            non_negative.add(condition.split()[0])
    left, right = parsed(identity.left), parsed(identity.right)
    found = [
        Rule(
            identity,
            left,
            right,
            frozenset(positive),
            frozenset(non_negative),
            "extreme" in identity.conditions,
        )
    ]
    if identity.mutual:
        found.append(Rule(identity, right, left, found[0].positive, found[0].non_negative))
    return found


@functools.cache
def rules() -> tuple[Rule, ...]:
    """Both directions of all identities."""
    return tuple(rule for identity in IDENTITIES for rule in _rules(identity))
