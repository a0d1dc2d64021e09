"""Steps of hand-written loops: taken out of the user's `jax.jit`, and compiled with the guard."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import jax


def plain(step: Any) -> Any:
    """The function inside `jax.jit`: what it has traced before does not have the sentinel."""
    return inspect.unwrap(step) if hasattr(step, "lower") else step


def compiler(step: Any) -> Callable[[Any], Any]:
    """From a train step to a train function that is compiled, whether or not `step` was."""

    def compile_(train_step: Any) -> Any:
        compiled = jax.jit(train_step)

        def train_function(state: Any, batches: Iterator[Any]) -> Any:
            return compiled(state, next(batches))

        return train_function

    return compile_
