"""The arrays of a batch: their roles, their names, their samples."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from typing import Any

import keras
import numpy as np

from stayfinite.frameworks.change import ChangeError
from stayfinite.graph.graph import Role

ROLES: tuple[Role, ...] = ("input", "target", "sample_weight")
_SHORT = ("x", "y", "sample_weight")


def named_leaves(model: Any, data: Any) -> list[tuple[Role, str, Any]]:
    """Role, name and array of each leaf of a batch, in the order of its structure.

    An input has the name of the model's own input where the model has named inputs.
    """
    parts = tuple(data) if isinstance(data, tuple | list) else (data,)
    found: list[tuple[Role, str, Any]] = []
    for role, short, part in zip(ROLES, _SHORT, parts, strict=False):
        leaves = [(p, leaf) for p, leaf in keras.tree.flatten_with_path(part) if leaf is not None]
        inputs = getattr(model, "inputs", None) if role == "input" else None
        for position, (path, leaf) in enumerate(leaves):
            name = short + "".join(f"[{key!r}]" for key in path)
            # Keras makes up a name for an `Input` that was given none. A dict has its own names,
            # and another order than the inputs.
            listed = not any(isinstance(key, str) for key in path)
            if not listed:
                name = str(path[-1])
            elif inputs and len(inputs) == len(leaves) and _is_given(inputs[position].name):
                name = inputs[position].name
            found.append((role, name, leaf))
    return found


def leaves(structure: Any) -> list[Any]:
    """The leaves of any structure, without None."""
    return [leaf for leaf in keras.tree.flatten(structure) if leaf is not None]


def map_leaves(change: Callable[[Any], Any], structure: Any) -> Any:
    """`structure` with every leaf changed; None stays None."""
    return keras.tree.map_structure(lambda x: None if x is None else change(x), structure)


def fresh(name: str, taken: Container[str]) -> str:
    """`name`, or `name:2` and so on where that is taken."""
    number = 1
    found = name
    while found in taken:
        number += 1
        found = f"{name}:{number}"
    return found


def num_samples(data: Any) -> int | None:
    """The size of the batch; None where no array of it has an axis."""
    for leaf in keras.tree.flatten(data):
        if leaf is not None and np.ndim(leaf):
            return int(np.shape(leaf)[0])
    return None


def magnitudes(model: Any, data: Any, numpy: Callable[[Any], np.ndarray]) -> dict[str, float]:
    """The largest finite magnitude in each array of a batch, by the name of its leaf."""
    found: dict[str, float] = {}
    for _, name, leaf in named_leaves(model, data):
        array = numpy(leaf)
        if array.size and array.dtype.kind in "fiu":
            size = np.abs(array.astype(np.float64))
            found[name] = float(np.max(size, initial=0.0, where=np.isfinite(size)))
    return found


def with_arrays(model: Any, data: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    """`data` with some of its arrays replaced, by the name of their leaf."""
    names = iter([name for _, name, _ in named_leaves(model, data)])
    return map_leaves(lambda leaf: arrays.get(next(names), leaf), data)


def scaled(
    model: Any, data: Any, divisors: Mapping[str, float], numpy: Callable[[Any], np.ndarray]
) -> Any:
    """`data` with some of its floating-point arrays divided, by the name of their leaf."""
    names = iter([name for _, name, _ in named_leaves(model, data)])

    def divide(leaf: Any) -> Any:
        divisor = divisors.get(next(names))
        array = numpy(leaf)
        if divisor is None or array.dtype.kind != "f":
            return leaf
        return (array / divisor).astype(array.dtype)

    return map_leaves(divide, data)


def without(data: Any, samples: tuple[int, ...], numpy: Callable[[Any], np.ndarray]) -> Any:
    """`data` with other samples of it in the place of `samples`; shapes stay as they are.

    Raises:
        ChangeError: no other sample is left.
    """

    def replace(leaf: Any) -> Any:
        if leaf is None or not np.ndim(leaf):
            return leaf
        array = numpy(leaf)
        others = [sample for sample in range(len(array)) if sample not in samples]
        if not others:
            raise ChangeError(
                "every sample of the batch is suspect; none is left to take its place"
            )
        order = [others[r % len(others)] if r in samples else r for r in range(len(array))]
        return array[order]

    return keras.tree.map_structure(replace, data)


def mixed(
    data: Any, samples: tuple[int, ...], other: Any, numpy: Callable[[Any], np.ndarray]
) -> Any:
    """`data` with `samples` of `other`, which has to have the same structure and shapes.

    Raises:
        ChangeError: it has others.
    """

    def replace(leaf: Any, from_other: Any) -> Any:
        if leaf is None or not np.ndim(leaf):
            return leaf
        array, another = np.array(numpy(leaf)), numpy(from_other)
        if array.shape != another.shape:
            raise ChangeError(f"shapes of two batches differ: {array.shape} and {another.shape}")
        array[list(samples)] = another[list(samples)]
        return array

    return keras.tree.map_structure(replace, data, other)


def resized(data: Any, samples: int, numpy: Callable[[Any], np.ndarray]) -> Any:
    """The first `samples` samples of a batch; its last sample stands again where it has fewer."""

    def resize(leaf: Any) -> Any:
        if leaf is None or not np.ndim(leaf):
            return leaf
        array = numpy(leaf)
        if not len(array):
            return np.zeros((samples, *array.shape[1:]), array.dtype)
        return array[np.minimum(np.arange(samples), len(array) - 1)]

    return keras.tree.map_structure(resize, data)


def _is_given(name: str) -> bool:
    return not name.startswith("keras_tensor")
