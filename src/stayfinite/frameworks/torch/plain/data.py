"""The data of one step of a loop: for each iteration, the values of names when it began."""

from __future__ import annotations

import collections
import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeGuard

import numpy as np

from stayfinite.frameworks.batch import Batch, BatchArray
from stayfinite.frameworks.loop_values import Scalar
from stayfinite.frameworks.names import unique
from stayfinite.frameworks.obstacles import WhyNot
from stayfinite.frameworks.state import RandomState, Tensor
from stayfinite.frameworks.torch import private
from stayfinite.frameworks.torch.plain import trees
from stayfinite.frameworks.torch.plain.randomness import Following, Generators
from stayfinite.graph.graph import Role

# Longer strings are texts, and no settings.
_MAX_TEXT = 200
# Names of labels, or their last word.
_TARGETS = {
    "answer",
    "answers",
    "gt",
    "label",
    "labels",
    "lbl",
    "target",
    "targets",
    "tgt",
    "truth",
    "y",
    "yb",
    "ys",
    "yy",
}


@dataclass(frozen=True)
class Iteration:
    """One iteration of a loop, as it began.

    Attributes:
        values: The values of the names that its body reads, without those of `batch`.
        batch: The names that stand for the batch, with their values.
        generators: The random generators.
        draws: Batches that loaders give inside its body, in their order, each under a name. Or the
            items of generators of the user.
        drawn: By such a name, the random generators after the draw, where they are known: what
            gives the batch may have drawn random numbers.
        taken: Of such items: by a name that is bound to `next(...)`, their names in `draws`.
    """

    values: Mapping[str, object]
    batch: Mapping[str, object]
    generators: Generators
    draws: Mapping[str, object] = field(default_factory=dict)
    drawn: Mapping[str, Generators] = field(default_factory=dict)
    taken: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def take(self, name: str) -> object:
        """The draw of this name, with the generators as they were after it."""
        if name in self.drawn:
            self.drawn[name].restore()
        return self.draws[name]

    def parts(self) -> Iterator[tuple[str, object]]:
        """What the arrays of the batch are in, each part under its name."""
        yield from self.batch.items()
        yield from self.draws.items()


@dataclass(frozen=True)
class LoopData:
    """The iterations between two updates of the same weights, oldest first.

    Attributes:
        iterations: More than one where gradients are accumulated.
        missing: Why the step cannot be made again of them, if that is known.
        is_sure: Whether every value is known to be that of the beginning.
    """

    iterations: tuple[Iteration, ...]
    missing: WhyNot | None = None
    is_sure: bool = True
    _size: list[int] = field(default_factory=list, compare=False, repr=False)

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays of the batches."""
        if not self._size:
            self._size.append(sum(value.nbytes for _, value in self.leaves()))
        return self._size[0]

    def values(self) -> Iterator[object]:
        """What names stood for, those of the batch left out."""
        for iteration in self.iterations:
            yield from iteration.values.values()

    def leaves(self) -> Iterator[tuple[str, Any]]:
        """The arrays of all batches, each with its name."""
        for iteration in self.iterations:
            for name, value in iteration.parts():
                for path, leaf in trees.leaves(value):
                    yield _name(name, path), leaf

    def with_leaves(self, values: Sequence[Tensor]) -> LoopData:
        """The same data with other arrays."""
        following = iter(values)
        iterations = []
        for iteration in self.iterations:
            batch = {n: trees.packed(value, following) for n, value in iteration.batch.items()}
            draws = {n: trees.packed(value, following) for n, value in iteration.draws.items()}
            iterations.append(dataclasses.replace(iteration, batch=batch, draws=draws))
        return LoopData(tuple(iterations), self.missing, self.is_sure)

    def reordered(self, others: object, order: Sequence[int], size: int) -> LoopData:
        """The same data with the numbers of its lists, such as lengths, in another order.

        See `trees.reordered`.
        """
        assert isinstance(others, LoopData)
        iterations = []
        for own, other in zip(self.iterations, others.iterations, strict=True):
            batch = trees.reordered(own.batch, other.batch, order, size)
            draws = trees.reordered(own.draws, other.draws, order, size)
            iterations.append(dataclasses.replace(own, batch=batch, draws=draws))
        return LoopData(tuple(iterations), self.missing, self.is_sure)

    def as_in(self, values: Sequence[Mapping[str, Scalar]], random: RandomState | None) -> LoopData:
        """The same data with other numbers and strings, beginning with a random state.

        After the first iteration, random numbers are drawn on from where it has left them.
        """
        iterations = []
        for number, iteration in enumerate(self.iterations):
            generators = iteration.generators
            if random is not None:
                kind = Generators if number == 0 else Following
                generators = kind(random.cpu, random.cuda)
            drawn = iteration.drawn if random is None else {}
            own = values[number] if number < len(values) else {}
            others = {**iteration.values, **{n: v for n, v in own.items() if n in iteration.values}}
            iterations.append(
                dataclasses.replace(iteration, values=others, generators=generators, drawn=drawn)
            )
        return LoopData(tuple(iterations), self.missing, self.is_sure)


def scalars_of(iteration: Iteration) -> dict[str, Scalar]:
    """The numbers and strings among the values of an iteration that JSON has."""
    return {name: value for name, value in iteration.values.items() if _is_scalar(value)}


def _is_scalar(value: object) -> TypeGuard[Scalar]:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, int):
        return abs(value) < 2**63
    return value is None or (isinstance(value, str) and len(value) <= _MAX_TEXT)


def batch_of(data: LoopData) -> Batch:
    """`data` with a name and a role for each array."""
    found = list(data.leaves())
    names = unique([name for name, _ in found])
    roles = _roles([name for name, _ in found], len(data.iterations))
    size = _num_samples([leaf for _, leaf in found])
    arrays = tuple(
        BatchArray(role, name, leaf, has_samples=leaf.ndim > 0 and leaf.shape[0] == size)
        for role, name, (_, leaf) in zip(roles, names, found, strict=True)
    )
    return Batch(data, arrays, data.with_leaves, _numpy, _reordered)


def _reordered(data: object, others: object, order: Sequence[int], size: int) -> object:
    assert isinstance(data, LoopData)
    return data.reordered(others, order, size)


def _num_samples(leaves: Sequence[Any]) -> int | None:
    """The size that the first axis of most arrays has, as that of a hidden state has not."""
    sizes = collections.Counter(leaf.shape[0] for leaf in leaves if leaf.ndim > 0)
    return sizes.most_common(1)[0][0] if sizes else None


def _numpy(value: Tensor) -> np.ndarray:
    return private.numpy_of(value)


def _name(name: str, path: trees.Path) -> str:
    """The last key of a dict by itself; a position behind the name it belongs to."""
    found = name
    for key in path:
        found = key if isinstance(key, str) else f"{found}[{key}]"
    return found


def _roles(names: Sequence[str], num_iterations: int) -> list[Role]:
    """By their names; of two arrays, the second one is the target."""
    roles: list[Role] = ["target" if _is_target(name) else "input" for name in names]
    per_iteration = len(names) // max(num_iterations, 1)
    if "target" not in roles and per_iteration == 2:
        roles = ["target" if number % 2 else "input" for number in range(len(names))]
    return roles


def _is_target(name: str) -> bool:
    last = name.lower().replace("[", "_").rstrip("]").split("_")
    return name.lower() in _TARGETS or any(word in _TARGETS and len(word) > 2 for word in last)
