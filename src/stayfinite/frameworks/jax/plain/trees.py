"""A tree of JAX as a list of arrays and a hashable form of all that is not an array."""

from __future__ import annotations

import enum
import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

# A key path as `jax.tree_util` gives it.
KeyPath = tuple[Any, ...]


@dataclass(frozen=True, eq=False)
class ArrayLeaf:
    """An array, or a number that is traced as one; there is one object of this class."""


@dataclass(frozen=True)
class KeyLeaf:
    """A typed random key, whose numbers are the array."""

    implementation: Any


class StaticLeaf:
    """What is no array: a function, a text. Equal to others by its value, or by identity.

    In a tree, it is a whole argument that is no array, whatever it holds.
    """

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, StaticLeaf) or type(self.value) is not type(other.value):
            return False
        return self.value is other.value or (_is_hashable(self.value) and self.value == other.value)

    def __hash__(self) -> int:
        return hash(self.value) if _is_hashable(self.value) else id(self.value)


class Numbers(enum.Enum):
    """Which numbers of Python are arrays in a compiled step. The others are part of its form."""

    WITH_BOOLEANS = enum.auto()
    TRACED = enum.auto()
    INTEGERS_STATIC = enum.auto()
    STATIC = enum.auto()

    def traces(self, leaf: object) -> bool:
        """Whether `leaf` is a number that is an array."""
        if self is Numbers.STATIC:
            return False
        if isinstance(leaf, bool):
            return self is Numbers.WITH_BOOLEANS
        if isinstance(leaf, int):
            return self is not Numbers.INTEGERS_STATIC
        return isinstance(leaf, float | complex)


LeafForm = ArrayLeaf | KeyLeaf | StaticLeaf
_ARRAY = ArrayLeaf()
# Kinds of NumPy's dtypes that no array of JAX has.
NOT_NUMERIC = "OUSMm"


@dataclass(frozen=True)
class TreeForm:
    """The structure of a tree, and what each of its leaves is."""

    structure: Any
    leaves: tuple[LeafForm, ...]

    @functools.cached_property
    def _has_only_arrays(self) -> bool:
        return all(leaf is _ARRAY for leaf in self.leaves)

    def has_static(self) -> bool:
        """Whether a leaf is no array."""
        return any(isinstance(leaf, StaticLeaf) for leaf in self.leaves)

    def arrays(self) -> list[int]:
        """The numbers of the leaves that are arrays."""
        return [n for n, leaf in enumerate(self.leaves) if not isinstance(leaf, StaticLeaf)]

    def packed(self, arrays: Iterable[Any]) -> Any:
        """The tree with these arrays."""
        if self._has_only_arrays:
            return jax.tree.unflatten(self.structure, arrays)
        following = iter(arrays)
        leaves = [_leaf(form, following) for form in self.leaves]
        return jax.tree.unflatten(self.structure, leaves)


def taken_apart(
    tree: Any, numbers: Numbers = Numbers.TRACED, *, like: TreeForm | None = None
) -> tuple[list[Any], TreeForm]:
    """The arrays of `tree` and its form. A typed key gives the array of its numbers.

    The form is `like` itself, which is fast, where the tree was seen to have this form.
    """
    leaves, structure = jax.tree.flatten(tree)
    if like is not None and structure == like.structure:
        found = _arrays_of(leaves, like)
        if found is not None:
            return found, like
    arrays: list[Any] = []
    forms: list[LeafForm] = []
    concrete = array_class()
    for leaf in leaves:
        form: LeafForm = _ARRAY
        if type(leaf) is concrete:
            pass
        elif isinstance(leaf, StaticLeaf):
            form = leaf
        elif isinstance(leaf, jax.Array):
            if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
                form = KeyLeaf(jax.random.key_impl(leaf))
                leaf = jax.random.key_data(leaf)
        elif isinstance(leaf, np.ndarray | np.generic):
            if leaf.dtype.kind in NOT_NUMERIC:
                form = StaticLeaf(leaf)
        elif numbers.traces(leaf):
            leaf = jnp.asarray(leaf)
        else:
            form = StaticLeaf(leaf)
        forms.append(form)
        if not isinstance(form, StaticLeaf):
            arrays.append(leaf)
    return arrays, TreeForm(structure, tuple(forms))


def _arrays_of(leaves: list[Any], form: TreeForm) -> list[Any] | None:
    """The arrays among `leaves`; None if they may be of another form."""
    concrete = array_class()
    arrays = []
    for leaf, kind in zip(leaves, form.leaves, strict=True):
        if kind is _ARRAY:
            held = type(leaf)
            if held is not concrete and (held is not np.ndarray or leaf.dtype.kind in NOT_NUMERIC):
                return None
            arrays.append(leaf)
        elif type(kind) is not StaticLeaf or not (kind.value is leaf or kind == leaf):
            return None
    return arrays


# The structure of a tree that is one leaf.
BARE = jax.tree.structure(0)


def paths_of(tree: Any) -> list[KeyPath]:
    """The key path of each leaf of `tree`."""
    return [path for path, _ in jax.tree_util.tree_flatten_with_path(tree)[0]]


def name_of(path: Sequence[Any]) -> str:
    """A key path as `Dense_0/kernel`. The holder of a value in a variable of flax has no name."""
    keys = [_text(key) for key in path]
    if len(keys) > 1 and keys[-1] in ("value", "raw_value") and _is_attribute(path[-1]):
        del keys[-1]
    return "/".join(keys)


def joined(label: str, name: str) -> str:
    """The name of an array at `name` inside of `label`."""
    return f"{label}/{name}" if name else label


def _text(key: Any) -> str:
    for attribute in ("key", "name", "idx"):
        if hasattr(key, attribute):
            return str(getattr(key, attribute))
    return str(key)


def _is_attribute(key: Any) -> bool:
    return isinstance(key, jax.tree_util.GetAttrKey)


def _leaf(form: LeafForm, following: Any) -> Any:
    match form:
        case StaticLeaf():
            return form.value
        case KeyLeaf(implementation):
            return jax.random.wrap_key_data(next(following), impl=implementation)
    return next(following)


@functools.cache
def array_class() -> type:
    """The class of arrays with values; typed keys and the arrays of a trace are of others."""
    with jax.ensure_compile_time_eval():
        return type(jnp.zeros(()))


def _is_hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True
