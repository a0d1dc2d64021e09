"""The arguments of one call of a step: arrays, and a hashable form of the rest."""

from __future__ import annotations

import functools
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from typing import Any

import jax

from stayfinite.frameworks.jax.plain import nnx_objects
from stayfinite.frameworks.jax.plain.trees import (
    Numbers,
    StaticLeaf,
    TreeForm,
    joined,
    name_of,
    paths_of,
    taken_apart,
)


@dataclass(frozen=True)
class ArgumentsForm:
    """All of a call but its arrays.

    Attributes:
        labels: The name of each argument.
        num_positional: How many of them are positional; the others are keywords.
        tree: The form of `(arguments without objects of nnx, values of these objects)`.
        objects: The numbers of the arguments that are objects of nnx.
        definition: Of these objects.
    """

    labels: tuple[str, ...]
    num_positional: int
    tree: TreeForm
    objects: tuple[int, ...]
    definition: Any

    # JAX asks for it in each call of the compiled step.
    def __hash__(self) -> int:
        return self._hash

    @functools.cached_property
    def _hash(self) -> int:
        fields = (self.labels, self.num_positional, self.tree, self.objects, self.definition)
        return hash(fields)


@dataclass
class Arguments:
    """One call.

    Attributes:
        form: Its form.
        arrays: Its arrays.
        names: A function that gives the name of each array, as `params/Dense_0/kernel`, and the
            argument that it is in.
        values: The arguments as they were given.
    """

    form: ArgumentsForm
    arrays: list[Any]
    names: Callable[[], list[tuple[str, str]]]
    values: tuple[Any, ...]


def arguments_of(
    labels: tuple[str, ...],
    args: tuple[Any, ...],
    keywords: Mapping[str, Any],
    *,
    numbers: Numbers,
    static: frozenset[str] = frozenset(),
    like: ArgumentsForm | None = None,
) -> Arguments:
    """The arguments of a call of a step whose arguments have these labels.

    `static` are the labels of those that are no arrays, whatever they hold.
    `like` is the form of an earlier call; this one gets the same object where that was fast to see.
    """
    values = (*args, *keywords.values())
    objects = tuple(n for n, value in enumerate(values) if nnx_objects.is_object(value))
    definition, state = None, ()
    if objects:
        definition, state = nnx_objects.split([values[n] for n in objects])
    rest = tuple(None if n in objects else value for n, value in enumerate(values))
    if not static.isdisjoint(labels):
        named = zip(labels, rest, strict=True)
        rest = tuple(StaticLeaf(value) if label in static else value for label, value in named)
    tree = (rest, state)
    arrays, form = taken_apart(tree, numbers, like=None if like is None else like.tree)

    def names() -> list[tuple[str, str]]:
        paths = paths_of(tree)
        return [_named(paths[n], labels, objects) for n in form.arrays()]

    whole = like
    if (
        whole is None
        or whole.tree is not form
        or whole.labels is not labels
        or whole.num_positional != len(args)
        or objects
    ):
        whole = ArgumentsForm(labels, len(args), form, objects, definition)
    return Arguments(whole, arrays, names, values)


def called(step: Callable[..., Any], form: ArgumentsForm, arrays: list[Any]) -> tuple[Any, Any]:
    """Call `step`: its result, and the values of objects of nnx after it.

    Raises:
        CannotGuardError: the step changes the structure of an object of nnx.
    """
    rest, state = form.tree.packed(arrays)
    values = list(rest)
    objects: tuple[Any, ...] = ()
    if form.objects:
        objects = nnx_objects.merge(form.definition, state)
        for number, value in zip(form.objects, objects, strict=True):
            values[number] = value
    positional, others = values[: form.num_positional], values[form.num_positional :]
    keywords = dict(zip(form.labels[form.num_positional :], others, strict=True))
    result = step(*positional, **keywords)
    return result, nnx_objects.values_after(objects, state) if objects else ()


def values_of_objects(form: ArgumentsForm, values: Any) -> dict[str, Any]:
    """The arrays in the values of the objects of nnx of a call, by name."""
    arrays, tree = taken_apart(((), values))
    paths = paths_of(((), values))
    names = [_named(paths[n], form.labels, form.objects)[0] for n in tree.arrays()]
    return dict(zip(names, arrays, strict=True))


def numbers_of(form: ArgumentsForm, labels: Container[str]) -> tuple[int, ...]:
    """The numbers of the arrays in the arguments with these labels."""
    leaves = jax.tree.unflatten(form.tree.structure, range(len(form.tree.leaves)))[0]
    named = zip(form.labels, leaves, strict=True)
    wanted = set(jax.tree.leaves([values for label, values in named if label in labels]))
    return tuple(number for number, leaf in enumerate(form.tree.arrays()) if leaf in wanted)


def _named(path: Any, labels: tuple[str, ...], objects: tuple[int, ...]) -> tuple[str, str]:
    part, number, *inside = path
    position = number.idx if part.idx == 0 else objects[_index(number)]
    label = labels[position]
    return joined(label, name_of(inside)), label


def _index(key: Any) -> int:
    return int(getattr(key, "idx", getattr(key, "key", 0)))
