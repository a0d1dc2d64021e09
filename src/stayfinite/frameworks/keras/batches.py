"""The data of a step as a `Batch`: the roles and names of its arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from stayfinite.frameworks.batch import ROLES, Batch, BatchArray, order_without
from stayfinite.frameworks.state import Tensor
from stayfinite.frameworks.subject import Subject
from stayfinite.graph.graph import Role

_SHORT = ("x", "y", "sample_weight")


def batch_of(subject: Subject, data: Any, to_numpy: Callable[[Tensor], np.ndarray]) -> Batch:
    """`data`, as the train step takes it, with a name for each array.

    An input has the name of the model's own input where the model has named inputs.

    Args:
        subject: Has the names of the inputs.
        data: A structure of arrays, in the order `(x, y, sample_weight)` if it is a tuple or list.
        to_numpy: Copies a tensor of the framework to the host.
    """

    def pack(values: Sequence[Tensor]) -> object:
        # Not `map_structure`: on PyTorch it takes the keys of a dict in another order.
        following = iter(values)
        flat = [None if leaf is None else next(following) for leaf in keras.tree.flatten(data)]
        packed: object = keras.tree.pack_sequence_as(data, flat)
        return packed

    return Batch(data, tuple(_named(subject.input_names, data)), pack, to_numpy)


def without_samples(batch: Batch, samples: Sequence[int]) -> object:
    """The data of `batch` with other samples of it in the place of `samples`, for a train step.

    Shapes, and the kind of each array, stay as they were.

    Raises:
        ChangeError: no other sample is left.
    """

    def chosen(array: Any) -> Any:
        if not np.shape(array):
            return array
        order = order_without(samples, len(array))
        if isinstance(array, np.ndarray):
            return array[order]
        return keras.ops.take(array, np.asarray(order), axis=0)

    return batch.map(chosen).data


def leaves(structure: Any) -> list[Any]:
    """The leaves of any structure, without None."""
    return [leaf for leaf in keras.tree.flatten(structure) if leaf is not None]


def _named(input_names: list[str] | None, data: Any) -> list[BatchArray]:
    parts = tuple(data) if isinstance(data, tuple | list) else (data,)
    found: list[BatchArray] = []
    for number, part in enumerate(parts):
        # A hand-written loop may take more arguments than Keras has names for.
        role: Role = ROLES[number] if number < len(ROLES) else "input"
        short = _SHORT[number] if number < len(_SHORT) else f"argument {number}"
        own = [(p, leaf) for p, leaf in keras.tree.flatten_with_path(part) if leaf is not None]
        inputs = input_names if number == 0 else None
        for position, (path, leaf) in enumerate(own):
            name = short + "".join(f"[{key!r}]" for key in path)
            # Keras generates a name for an `Input` without one. A dict has its own names,
            # and another order than the inputs.
            listed = not any(isinstance(key, str) for key in path)
            if not listed:
                name = str(path[-1])
            elif inputs and len(inputs) == len(own) and _is_given(inputs[position]):
                name = inputs[position]
            found.append(BatchArray(role, name, leaf))
    return found


def _is_given(name: str) -> bool:
    return not name.startswith("keras_tensor")
