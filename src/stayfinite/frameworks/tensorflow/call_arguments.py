"""The arguments of one call of a user's function: its arrays, and a form of all the rest."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from stayfinite.frameworks.batch import ROLES, Batch, BatchArray
from stayfinite.frameworks.names import argument_names, unique
from stayfinite.frameworks.obstacles import Obstacle, WhyNot
from stayfinite.frameworks.state import Tensor
from stayfinite.frameworks.step import CannotRemakeError
from stayfinite.frameworks.tensorflow import private
from stayfinite.frameworks.tensorflow.state import numpy_of
from stayfinite.graph.graph import Role

# A function is called in few forms; more are those of a number that changes with each call.
_MAX_FORMS = 64


@dataclass(frozen=True, eq=False)
class CallForm:
    """All of a call but its arrays.

    Attributes:
        names: The name of each array: that of its argument, and where in it the array is.
        rest: The arguments by position and by keyword, with `HERE` in the place of each array.
        missing: Why the call cannot be made again; None where it can.
        on_host: The positions of arrays that the call gets as NumPy arrays when it is made again,
            as code that `tf.function` does not trace expects them.
    """

    names: tuple[str, ...]
    rest: tuple[Sequence[Any], Mapping[str, Any]]
    missing: WhyNot | None = None
    on_host: frozenset[int] = frozenset()

    @functools.cached_property
    def has_only_arrays(self) -> bool:
        """Whether each argument is an array."""
        args, keywords = self.rest
        return all(value is HERE for value in (*args, *keywords.values()))


class CallArguments(NamedTuple):
    """The data of one step that is a call; a structure whose leaves are the arrays and the form."""

    arrays: tuple[Any, ...]
    form: CallForm

    def call(self, function: Callable[..., Any]) -> Any:
        """Call `function` with these arguments."""
        if self.form.has_only_arrays:
            args, keywords = self.form.rest
            if not keywords:
                return function(*self.arrays)
            named = zip(keywords, self.arrays[len(args) :], strict=True)
            return function(*self.arrays[: len(args)], **dict(named))
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
        on_host = self.form.on_host
        if not on_host:
            return self.call(function)
        arrays = [numpy_of(a) if n in on_host else a for n, a in enumerate(self.arrays)]
        return self._replace(arrays=tuple(arrays)).call(function)

    def given_as(self) -> CallArguments:
        """The same, with NumPy arrays for those that are, when the call is made again."""
        on_host = [n for n, array in enumerate(self.arrays) if isinstance(array, np.ndarray)]
        form = dataclasses.replace(self.form, on_host=frozenset(on_host))
        return CallArguments(self.arrays, form)

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


class CallReader:
    """Makes the data of a step of each call of a function.

    To take the arguments apart takes longer than a small step. So it is done once for each form of
    a call.

    Args:
        function: The function that is called.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        # None for a form whose arrays `_kind` does not find in the order of `call_arguments`.
        self._forms: dict[Hashable, CallForm | None] = {}

    def read(self, args: Sequence[Any], keywords: Mapping[str, Any]) -> CallArguments:
        """The arguments of a call as the data of a step."""
        arrays: list[Any] = []
        try:
            kinds = [_kind(value, arrays) for value in args]
            if keywords:
                kinds += [(name, _kind(value, arrays)) for name, value in keywords.items()]
        except _UnknownArgumentError:
            return call_arguments(self._function, args, keywords)
        key = tuple(kinds)
        form = self._forms.get(key)
        if form is not None:
            return CallArguments(tuple(arrays), form)
        call = call_arguments(self._function, args, keywords)
        if key not in self._forms:
            if len(self._forms) == _MAX_FORMS:
                self._forms.clear()
            is_same = len(arrays) == len(call.arrays) and all(
                one is other for one, other in zip(arrays, call.arrays, strict=True)
            )
            self._forms[key] = call.form if is_same else None
        return call


class _UnknownArgumentError(Exception):
    """An argument has a type of which `_kind` knows nothing."""


def _kind(value: Any, arrays: list[Any]) -> Hashable:
    """What is the same in two arguments that differ in their arrays only; the arrays are appended.

    Raises:
        _UnknownArgumentError: the argument is of another type.
    """
    kind = type(value)
    if kind is private.EagerTensor or kind is np.ndarray:
        arrays.append(value)
        return kind, value.dtype
    if kind is tuple or kind is list:
        return kind, *[_kind(item, arrays) for item in value]
    if kind is dict and all(type(key) is str for key in value):
        # A dictionary is flattened in the order of its keys.
        return kind, *[(key, _kind(value[key], arrays)) for key in sorted(value)]
    if value is None or kind is bool or kind is int or kind is str:
        return kind, value
    raise _UnknownArgumentError


def call_arguments(
    function: Callable[..., Any], args: Sequence[Any], keywords: Mapping[str, Any]
) -> CallArguments:
    """The arguments of a call of `function` as the data of a step."""
    arrays: list[Any] = []
    names: list[str] = []
    missing: WhyNot | None = None

    def taken(label: str, value: Any) -> Any:
        nonlocal missing
        if isinstance(value, tf.data.Iterator) or inspect.isgenerator(value):
            missing = WhyNot(Obstacle.ARGUMENT_DRAWS_BATCH, label)
            return value
        for path, leaf in keras.tree.flatten_with_path(value):
            if is_array(leaf):
                names.append(label + "".join(f"[{key!r}]" for key in path))
        return keras.tree.map_structure(lambda leaf: _place(leaf, arrays), value)

    labels = argument_names(function, len(args))
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
