"""The arguments of one call of a user's function: its arrays, and a form of all the rest."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from stayfinite.frameworks.batch import ROLES, Batch, BatchArray
from stayfinite.frameworks.names import unique
from stayfinite.frameworks.state import Tensor
from stayfinite.frameworks.step import CannotRemakeError
from stayfinite.graph.graph import Role


@dataclass(frozen=True, eq=False)
class CallForm:
    """All of a call but its arrays.

    Attributes:
        names: The name of each array: that of its argument, and where in it the array is.
        rest: The arguments by position and by keyword, with `HERE` in the place of each array.
        missing: Why the call cannot be made again; None where it can.
    """

    names: tuple[str, ...]
    rest: tuple[Sequence[Any], Mapping[str, Any]]
    missing: str | None = None


class CallArguments(NamedTuple):
    """The data of one step that is a call; a structure whose leaves are the arrays and the form."""

    arrays: tuple[Any, ...]
    form: CallForm

    def call(self, function: Callable[..., Any]) -> Any:
        """Call `function` with these arguments."""
        following = iter(self.arrays)

        def filled(leaf: Any) -> Any:
            return next(following) if leaf is HERE else leaf

        args, keywords = keras.tree.map_structure(filled, self.form.rest)
        return function(*args, **keywords)

    def call_again(self, function: Callable[..., Any]) -> Any:
        """Make the call once more.

        Raises:
            CannotRemakeError: an argument draws its values by itself.
        """
        if self.form.missing is not None:
            raise CannotRemakeError(self.form.missing)
        return self.call(function)

    def batch(self, to_numpy: Callable[[Tensor], np.ndarray]) -> Batch:
        """The arrays under their names; the first is the input, the second the target."""
        others: list[Role] = ["input"] * len(self.arrays)
        leaves = tuple(
            BatchArray(role, name, value)
            for role, name, value in zip(
                (*ROLES[:2], *others), self.form.names, self.arrays, strict=False
            )
        )
        form = self.form
        return Batch(self, leaves, lambda values: CallArguments(tuple(values), form), to_numpy)


class _Here:
    """The place of an array in a call."""


HERE = _Here()


def call_arguments(
    function: Callable[..., Any], args: Sequence[Any], keywords: Mapping[str, Any]
) -> CallArguments:
    """The arguments of a call of `function` as the data of a step."""
    arrays: list[Any] = []
    names: list[str] = []
    missing: str | None = None

    def taken(label: str, value: Any) -> Any:
        nonlocal missing
        if isinstance(value, tf.data.Iterator) or inspect.isgenerator(value):
            missing = f"its argument {label} draws the batch by itself"
            return value
        for path, leaf in keras.tree.flatten_with_path(value):
            if is_array(leaf):
                names.append(label + "".join(f"[{key!r}]" for key in path))
        return keras.tree.map_structure(lambda leaf: _place(leaf, arrays), value)

    labels = _labels(function, len(args))
    rest = [taken(label, value) for label, value in zip(labels, args, strict=True)]
    others = {label: taken(label, value) for label, value in keywords.items()}
    return CallArguments(tuple(arrays), CallForm(tuple(unique(names)), (rest, others), missing))


def _place(leaf: Any, arrays: list[Any]) -> Any:
    if not is_array(leaf):
        return leaf
    arrays.append(leaf)
    return HERE


def is_array(leaf: Any) -> bool:
    """Whether a leaf is an array of numbers, on the host or of TensorFlow."""
    if isinstance(leaf, np.ndarray):
        return leaf.dtype.kind not in "OUSMm"
    return tf.is_tensor(leaf) and isinstance(leaf, tf.Tensor) and leaf.dtype != tf.string


def _labels(function: Callable[..., Any], num_positional: int) -> list[str]:
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    names = [parameter.name for parameter in parameters if parameter.kind in kinds]
    rest = [f"argument {number}" for number in range(len(names), num_positional)]
    return [*names[:num_positional], *rest]
