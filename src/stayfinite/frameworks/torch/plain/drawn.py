"""The statements at the beginning of a loop's body that take a batch out of the data.

`xb = X[i : i + 32]` or `x, y = get_batch()`: they are run once, and the step begins after them. So
the batch of a step is what they bind, and not the whole data set.
"""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from stayfinite.frameworks.torch import finite_checks
from stayfinite.frameworks.torch import private as torch_private
from stayfinite.frameworks.torch.plain import trees

# Methods whose call may stand among such statements without being one.
_ASIDE = ("zero_grad", "train", "eval")

# Runs statements on the present names, and returns those that they bind.
Run = Callable[[list[ast.stmt]], Mapping[str, object]]


@dataclass(frozen=True)
class Prefix:
    """The positions of such statements in the body, and the names that they bind."""

    statements: frozenset[int]
    names: frozenset[str]


def prefix_of(body: list[ast.stmt], run: Run) -> Prefix:
    """The longest run of such statements at the beginning of `body`.

    Each is run in its turn. One that calls a module, that a gradient goes through, or that makes
    a number that is not finite is a part of the step.
    """
    found: set[int] = set()
    names: set[str] = set()
    for position, statement in enumerate(body):
        if _is_aside(statement):
            continue
        targets = _targets(statement)
        if targets is None:
            break
        with _watched() as watch:
            bound = run([statement])
        values = [bound[name] for name in targets if name in bound]
        arrays = [leaf for value in values for _, leaf in trees.leaves(value)]
        is_differentiated = any(getattr(leaf, "requires_grad", False) for leaf in arrays)
        if watch.calls_module or watch.makes_non_finite or is_differentiated:
            break
        found.add(position)
        names.update(targets)
    return Prefix(frozenset(found), frozenset(names))


def _is_aside(statement: ast.stmt) -> bool:
    call = statement.value if isinstance(statement, ast.Expr) else None
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
        return False
    return call.func.attr in _ASIDE


def _targets(statement: ast.stmt) -> list[str] | None:
    """The names that an assignment binds; None for any other statement."""
    if isinstance(statement, ast.AnnAssign):
        targets: list[ast.expr] = [statement.target]
    elif isinstance(statement, ast.Assign):
        targets = statement.targets
    else:
        return None
    names: list[str] = []
    for target in targets:
        for node in [target, *ast.walk(target)]:
            if isinstance(node, ast.Name):
                names.append(node.id)
            elif not isinstance(node, ast.Tuple | ast.List | ast.expr_context):
                return None
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

    torch.nn.Module.__call__ = noted_call
    try:
        with watch:
            yield watch
    finally:
        torch.nn.Module.__call__ = plain
