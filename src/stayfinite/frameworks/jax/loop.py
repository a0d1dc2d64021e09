"""Steps of hand-written loops: taken out of the user's `jax.jit`, and compiled with the guard."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import jax


def plain(step: Any) -> Any:
    """The function inside `jax.jit`: what it has traced before does not have the sentinel."""
    return inspect.unwrap(step) if hasattr(step, "lower") else step


def compiled(train_step: Any) -> Callable[..., Any]:
    """A train function from a train step; compiled, whether or not the user had it so."""
    function = jax.jit(train_step)

    def train_function(state: Any, batches: Iterator[Any]) -> Any:
        return function(state, next(batches))

    return train_function
