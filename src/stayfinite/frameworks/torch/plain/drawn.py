"""The statements at the beginning of a loop's body that take a batch out of the data.

`xb = X[i : i + 32]` or `x, y = get_batch()`: they are run once, and the step begins after them. So
the batch of a step is what they bind, and not the whole data set.
"""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Any

import torch

from stayfinite.frameworks.attributes import replaced
from stayfinite.frameworks.torch import finite_checks
from stayfinite.frameworks.torch import private as torch_private
from stayfinite.frameworks.torch.plain import trees
from stayfinite.frameworks.torch.plain.again import StepMade

# What may be called by a statement that stands among such statements without being one.
_ASIDE = ("zero_grad", "train", "eval", "print")
_WITHOUT_GRADIENT = ("no_grad", "inference_mode")

# Runs statements on the present names, and returns those that they bind.
Run = Callable[[list[ast.stmt]], Mapping[str, object]]


@dataclass(frozen=True)
class Prefix:
    """The positions of such statements in the body, and the names that they bind."""

    statements: frozenset[int]
    names: frozenset[str]


def prefix_of(body: list[ast.stmt], run: Run, carried: Set[str] = frozenset()) -> Prefix:
    """The longest run of such statements at the beginning of `body`.

    Each is run in its turn. One that calls a module, that a gradient goes through, or that makes
    a number that is not finite is a part of the step.

    Args:
        body: The statements of the body.
        run: Runs some of them.
        carried: Names that each iteration of the step hands to the next one.
    """
    found: set[int] = set()
    names: set[str] = set()
    left_out: set[str] = set()
    for position, statement in enumerate(body):
        if _is_aside(statement) or _computes_of(carried, statement):
            left_out |= _bound_in(statement)
            continue
        targets = _targets(statement, names)
        if targets is None or (left_out | carried) & _names_in(statement):
            break
        with _watched() as watch:
            try:
                bound = run([statement])
            except StepMade:
                break  # an optimizer with a closure
        values = [bound[name] for name in targets if name in bound]
        arrays = [leaf for value in values for _, leaf in trees.leaves(value)]
        is_differentiated = any(getattr(leaf, "requires_grad", False) for leaf in arrays)
        if watch.calls_module or watch.makes_non_finite or is_differentiated:
            break
        found.add(position)
        names.update(targets)
    return Prefix(frozenset(found), frozenset(names))


def _is_aside(statement: ast.stmt) -> bool:
    """Whether it prints, counts, sets a mode or a learning rate, or leaves iterations out."""
    match statement:
        case ast.Expr(ast.Call(func)):
            return _last_name(func) in _ASIDE
        case ast.AugAssign(ast.Name(), _, ast.Constant()):
            return True
        case ast.For(iter=ast.Attribute(attr="param_groups"), body=[ast.Assign([target])]):
            return isinstance(target, ast.Subscript)
        case ast.Continue() | ast.Break():
            return True
        case ast.If(_, body, orelse):
            return all(map(_is_aside, [*body, *orelse]))
        case _:
            return False


def _computes_of(carried: Set[str], statement: ast.stmt) -> bool:
    """Whether it computes something of `carried`, and calls nothing."""
    if not isinstance(statement, ast.Assign) or not carried & _names_in(statement):
        return False
    return not any(isinstance(node, ast.Call) for node in ast.walk(statement))


def _last_name(expression: ast.expr) -> str:
    match expression:
        case ast.Name(name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


def _names_in(statement: ast.stmt) -> set[str]:
    return {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}


def _bound_in(statement: ast.stmt) -> set[str]:
    names = (node for node in ast.walk(statement) if isinstance(node, ast.Name))
    return {node.id for node in names if isinstance(node.ctx, ast.Store)}


def _targets(statement: ast.stmt, drawn: Set[str]) -> list[str] | None:
    """The names that assignments bind, or write to if these are `drawn`; None for other code."""
    match statement:
        case ast.Assign(targets):
            return _all_of(_names_of(target, drawn) for target in targets)
        case ast.AnnAssign(target):
            return _names_of(target, drawn)
        case ast.AugAssign(ast.Name(name)):
            return [name] if name in drawn else None
        case ast.If(_, body, orelse):
            return _of_block([*body, *orelse], drawn)
        case ast.With([ast.withitem(ast.Call(func), None)], body):
            return _of_block(body, drawn) if _last_name(func) in _WITHOUT_GRADIENT else None
        case _:
            return None


def _of_block(block: list[ast.stmt], drawn: Set[str]) -> list[str] | None:
    names: list[str] = []
    for statement in block:
        targets = _targets(statement, drawn | set(names))
        if targets is None:
            return None
        names += targets
    return names


def _names_of(target: ast.expr, drawn: Set[str]) -> list[str] | None:
    match target:
        case ast.Name(name):
            return [name]
        case ast.Tuple(elements) | ast.List(elements):
            return _all_of(_names_of(element, drawn) for element in elements)
        case ast.Subscript(ast.Name(name)):
            return [name] if name in drawn else None
        case _:
            return None


def _all_of(parts: Iterable[list[str] | None]) -> list[str] | None:
    """The parts one after the other; None if one of them is."""
    names: list[str] = []
    for part in parts:
        if part is None:
            return None
        names += part
    return names


class _StatementWatch(torch_private.TorchDispatchMode):
    """Notes whether an operator makes a non-finite number of finite ones, or a module is called."""

    def __init__(self) -> None:
        super().__init__()
        self.makes_non_finite = False
        self.calls_module = False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if not _are_finite(result) and _are_finite((args, kwargs or {})):
            self.makes_non_finite = True
        return result


def _are_finite(structure: Any) -> bool:
    tensors = [leaf for _, leaf in trees.leaves(structure) if isinstance(leaf, torch.Tensor)]
    return all(finite_checks.is_finite(tensor) for tensor in finite_checks.floating(tensors))


@contextlib.contextmanager
def _watched() -> Iterator[_StatementWatch]:
    watch = _StatementWatch()
    plain = torch.nn.Module.__call__

    def noted_call(module: Any, *args: Any, **kwargs: Any) -> Any:
        watch.calls_module = True
        return plain(module, *args, **kwargs)

    with replaced(torch.nn.Module, "__call__", noted_call), watch:
        yield watch
