"""Modules and optimizers of `flax.nnx` among the arguments of a step, which it changes in place."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import jax

from stayfinite.errors import CannotGuardError


def is_object(value: Any) -> bool:
    """Whether `value` is an object of `flax.nnx` that a step may change in place."""
    if "flax.nnx" not in sys.modules:
        return False
    from flax import nnx

    # flax 0.11 has it in `nnx.graph`, later releases in `nnx.graphlib`.
    graph = nnx.graphlib if hasattr(nnx, "graphlib") else nnx.graph
    # A `State` of nnx is a tree that never changes.
    return bool(graph.is_graph_node(value))


def split(objects: Sequence[Any]) -> tuple[Any, Any]:
    """The definition of `objects`, which is hashable, and the tree of their values."""
    from flax import nnx

    definition, state = nnx.split(tuple(objects))
    return definition, state


def merge(definition: Any, state: Any) -> tuple[Any, ...]:
    """New objects of a definition and values."""
    from flax import nnx

    return tuple(nnx.merge(definition, state))


def values_after(objects: Sequence[Any], before: Any) -> Any:
    """The tree of the values of `objects`, which a step has changed.

    Raises:
        CannotGuardError: it is not of the structure of `before`.
    """
    state = split(objects)[1]
    if jax.tree.structure(state) != jax.tree.structure(before):
        raise CannotGuardError(
            "the step adds variables to an nnx module or removes some, so its state before and "
            "after a step differ in structure; make them before the first step"
        )
    return state


def update(objects: Sequence[Any], state: Any) -> None:
    """Give the objects of the user the values of `state`."""
    from flax import nnx

    nnx.update(tuple(objects), state)
