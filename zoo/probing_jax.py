"""`python -m zoo.probing_jax STEP FILE SCRIPT`: as `zoo.probing`, of a loop over plain JAX.

A step is a call of what the script compiles. Recorded are the loss and the gradients, which are
what `jax.value_and_grad` gives while the step is traced, and the arrays of floating point among
its arguments, before it and after it: an argument that comes back with the same tree is a state.
"""

from __future__ import annotations

import runpy
import sys
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from zoo.compiled_steps import Step, wrap_compiled
from zoo.gradients import Array, CallbackStore
from zoo.records import Record

_LOSS = "loss"


class Calls:
    """Counts the calls of the step and records the one that is asked for."""

    def __init__(self, step: int) -> None:
        self.step = step
        self.num_calls = 0
        self.records: list[Record] = []
        self._store = CallbackStore()
        self._traced = 0

    def watch_gradients(self) -> None:
        """From now on, note what `jax.value_and_grad` gives."""
        import jax

        plain: Any = jax.value_and_grad

        def value_and_grad(*arguments: Any, **options: Any) -> Any:
            function = plain(*arguments, **options)

            def noting(*inner: Any, **rest: Any) -> Any:
                value, gradients = function(*inner, **rest)
                self._note(value[0] if isinstance(value, tuple) else value, gradients)
                return value, gradients

            return noting

        jax.value_and_grad = value_and_grad

    def _note(self, loss: Any, gradients: Any) -> None:
        import jax

        self._traced += 1
        self._store.keep(f"{_LOSS}{self._traced}", loss)
        for i, gradient in enumerate(jax.tree.leaves(gradients)):
            self._store.keep(f"{self._traced}.{i}", gradient)

    def wrap(self, step: Step) -> Step:
        """The step, counted."""

        def counted(*arguments: Any, **options: Any) -> Any:
            # A step that is traced again calls its gradients by the same names.
            self._traced = 0
            number, self.num_calls = self.num_calls, self.num_calls + 1
            if number != self.step:
                return step(*arguments, **options)
            before = [_arrays(argument) for argument in arguments]
            trees = [_tree(argument) for argument in arguments]
            self._store.clear()
            result = step(*arguments, **options)
            found = self._store.newest()
            held = list(chain.from_iterable(before))
            record = Record(held, [True] * len(held))
            record.logs = {name: value for name, value in found.items() if name.startswith(_LOSS)}
            record.gradients = {
                name: value for name, value in found.items() if not name.startswith(_LOSS)
            }
            record.after = list(chain.from_iterable(_after(arguments, trees, before, result)))
            self.records.append(record)
            return result

        return counted


def _after(
    arguments: Sequence[Any], trees: list[Any], before: list[list[Array]], result: Any
) -> list[list[Array]]:
    """What became of each argument: the first result that has its tree, or what it holds now."""
    results = list(result) if isinstance(result, tuple) else [result]
    found = []
    for argument, tree, old in zip(arguments, trees, before, strict=True):
        same = [i for i, other in enumerate(results) if _tree(other) == tree]
        if same:
            found.append(_arrays(results.pop(same[0])))
        else:
            # A module of nnx is changed in place; the others are as they were.
            found.append(_arrays(argument) if _is_module(argument) else old)
    return found


def _is_module(argument: Any) -> bool:
    nnx = sys.modules.get("flax.nnx")
    return nnx is not None and isinstance(argument, nnx.Object)


def _leaves(argument: Any) -> list[Any]:
    import jax

    if _is_module(argument):
        return list(jax.tree.leaves(sys.modules["flax.nnx"].state(argument)))
    return list(jax.tree.leaves(argument))


def _tree(argument: Any) -> Any:
    import jax

    return jax.tree.structure(argument), [getattr(x, "shape", None) for x in _leaves(argument)]


def _arrays(argument: Any) -> list[Array]:
    import jax.numpy as jnp

    return [
        np.array(leaf, "float32")
        for leaf in _leaves(argument)
        if hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jnp.floating)
    ]


def main(arguments: Sequence[str]) -> None:
    """Run the script as `__main__`; its exceptions pass through, after what is known is written."""
    step, file, script = int(arguments[0]), Path(arguments[1]).resolve(), Path(arguments[2])
    calls = Calls(step)
    calls.watch_gradients()
    wrap_compiled(script, calls.wrap)
    sys.argv = [str(script)]
    sys.path[0] = str(script.resolve().parent)
    try:
        runpy.run_path(str(script), run_name="__main__")
    finally:
        arrays: dict[str, Array] = {}
        for i, record in enumerate(calls.records):
            arrays |= record.arrays(str(i))
        np.savez(file, allow_pickle=False, **arrays)


if __name__ == "__main__":
    main(sys.argv[1:])
