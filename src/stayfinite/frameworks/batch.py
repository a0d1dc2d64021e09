"""The batch of a step: its arrays under their names, and the same batch with other samples."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing

from stayfinite.frameworks.obstacles import WhyNot
from stayfinite.frameworks.state import Tensor
from stayfinite.graph.graph import Role
from stayfinite.numerics.dtypes import widened

ROLES: tuple[Role, ...] = ("input", "target", "sample_weight")


class ChangeError(ValueError):
    """A step or its batch cannot be changed so, as it has no sample to put in the place of another.

    Attributes:
        why: An obstacle, or the reason in one clause.
    """

    def __init__(self, why: WhyNot | str) -> None:
        super().__init__(why)
        self.why = why


@dataclass(frozen=True)
class BatchArray:
    """One array of a batch. `value` is a tensor of the framework or a NumPy array.

    `has_samples` says that its first axis, if it has one, runs over the samples.
    """

    role: Role
    name: str
    value: Tensor
    has_samples: bool = True


@dataclass(frozen=True)
class Batch:
    """The data of one step.

    Attributes:
        data: The structure that the train step takes.
        leaves: Its arrays in the order of the structure, without None.
        pack: Puts as many arrays into the structure of `data`.
        to_numpy: Copies a tensor to the host.
        reorder: Of data, data of the same form, rows and their number: the lists of numbers of the
            data, such as lengths, in the order of the rows; those from the number on are of the
            second data. None where no such lists are in the data.
    """

    data: object
    leaves: tuple[BatchArray, ...]
    pack: Callable[[Sequence[Tensor]], object] = dataclasses.field(compare=False, repr=False)
    to_numpy: Callable[[Tensor], np.ndarray] = dataclasses.field(compare=False, repr=False)
    reorder: Callable[[object, object, Sequence[int], int], object] | None = dataclasses.field(
        default=None, compare=False, repr=False
    )

    @property
    def num_samples(self) -> int | None:
        """The size of the first axis of the first array that has one; None where none has."""
        sized = (_shape(leaf.value) for leaf in self.leaves if leaf.has_samples)
        return next((shape[0] for shape in sized if shape), None)

    def shapes(self) -> list[tuple[int, ...]]:
        """The shape of each array."""
        return [_shape(leaf.value) for leaf in self.leaves]

    def arrays(self) -> dict[str, np.ndarray]:
        """Each array on the host, by name."""
        return {leaf.name: self.to_numpy(leaf.value) for leaf in self.leaves}

    def magnitudes(self) -> dict[str, float]:
        """The largest finite magnitude in each numeric array, by name; 0 where none is finite."""
        found: dict[str, float] = {}
        for name, array in self.arrays().items():
            if array.size and array.dtype.kind in "fiuc":
                size = np.abs(widened(array))
                found[name] = float(np.max(size, initial=0.0, where=np.isfinite(size)))
        return found

    def is_finite(self) -> bool:
        """Whether no array has a NaN or an infinity."""
        arrays = [array for array in self.arrays().values() if array.dtype.kind in "fc"]
        return all(bool(np.isfinite(array).all()) for array in arrays)

    def map(self, convert: Callable[[Tensor], Tensor]) -> Batch:
        """This batch with `convert` applied to each array."""
        return self._each(lambda leaf: convert(leaf.value))

    def _each(self, convert: Callable[[BatchArray], Tensor]) -> Batch:
        values = [convert(leaf) for leaf in self.leaves]
        leaves = tuple(
            dataclasses.replace(leaf, value=value)
            for leaf, value in zip(self.leaves, values, strict=True)
        )
        return dataclasses.replace(self, data=self.pack(values), leaves=leaves)

    def with_arrays(self, arrays: Mapping[str, np.ndarray]) -> Batch:
        """This batch with some arrays replaced, by name."""
        values = iter([arrays.get(leaf.name, leaf.value) for leaf in self.leaves])
        return self.map(lambda _: next(values))

    def scaled(self, divisors: Mapping[str, float]) -> Batch:
        """This batch with some of its floating-point arrays divided by a number, by name."""
        arrays = {
            name: (array / divisors[name]).astype(array.dtype)
            for name, array in self.arrays().items()
            if name in divisors and array.dtype.kind == "f"
        }
        return self.with_arrays(arrays)

    def without(self, samples: Sequence[int]) -> Batch:
        """This batch with other samples of it in the place of `samples`; shapes stay.

        Raises:
            ChangeError: no other sample is left.
        """
        changed = self._per_sample(lambda array: array[order_without(samples, len(array))])
        return changed._with_lists(self, order_without(samples, self.num_samples or 0))

    def mixed(self, samples: Sequence[int], other: Batch) -> Batch:
        """This batch with `samples` of `other`.

        Raises:
            ChangeError: the two differ in their structure or in a shape.
        """
        if len(self.leaves) != len(other.leaves):
            raise ChangeError(
                f"numbers of arrays of two batches differ: {len(self.leaves)} and "
                f"{len(other.leaves)}"
            )
        of_other = iter(other.leaves)

        def replace(own: BatchArray) -> Tensor:
            another = other.to_numpy(next(of_other).value)
            if not own.has_samples or not _shape(own.value):
                return own.value
            array = np.array(self.to_numpy(own.value))
            if array.shape != another.shape:
                raise ChangeError(
                    f"shapes of two batches differ: {array.shape} and {another.shape}"
                )
            if max(samples, default=0) >= len(array):
                # As the state of a recurrent layer, which has the samples on its second axis.
                raise ChangeError(f"array `{own.name}` has its samples on another axis")
            array[list(samples)] = another[list(samples)]
            return array

        size = self.num_samples or 0
        order = [size + row if row in samples else row for row in range(size)]
        return self._each(replace)._with_lists(other, order)

    def resized(self, num_samples: int) -> Batch:
        """The first `num_samples` samples; the last one is repeated where there are fewer."""

        def resize(array: np.ndarray) -> np.ndarray:
            if not len(array):
                return np.zeros((num_samples, *array.shape[1:]), array.dtype)
            return array[np.minimum(np.arange(num_samples), len(array) - 1)]

        size = self.num_samples or 0
        order = np.minimum(np.arange(num_samples), size - 1).tolist()
        return self._per_sample(resize)._with_lists(self, order)

    def _with_lists(self, other: Batch, order: Sequence[int]) -> Batch:
        """This batch with the lists of numbers of both in another order."""
        reorder, size = self.reorder, other.num_samples
        if reorder is None or not size:
            return self

        def pack(values: Sequence[Tensor]) -> object:
            return reorder(self.pack(values), other.data, order, size)

        data = reorder(self.data, other.data, order, size)
        return dataclasses.replace(self, data=data, pack=pack)

    def _per_sample(self, change: Callable[[np.ndarray], np.ndarray]) -> Batch:
        """`change` applied to each array that has an axis of samples."""

        def changed(leaf: BatchArray) -> Tensor:
            is_sized = leaf.has_samples and _shape(leaf.value)
            return change(self.to_numpy(leaf.value)) if is_sized else leaf.value

        return self._each(changed)


def order_without(samples: Sequence[int], num_samples: int) -> list[int]:
    """The rows of a batch with others of it in the place of `samples`, as far as there are some.

    Each is replaced by the next one that is not in the place of another yet.

    Raises:
        ChangeError: no other sample is left.
    """
    others = [sample for sample in range(num_samples) if sample not in samples]
    if not others:
        raise ChangeError("every sample of the batch is suspect; none is left to replace it")
    order, position = list(range(num_samples)), 0
    for row in sorted(sample for sample in samples if sample < num_samples):
        while position < len(others) and others[position] < row:
            position += 1
        # Two places with one sample are equal, and a loss of pairs may fail at them again.
        order[row] = others[position % len(others)]
        position += 1
    return order


def _shape(value: Tensor) -> tuple[int, ...]:
    """The shape of a tensor of any framework, or of a number."""
    return tuple(np.shape(cast(np.typing.ArrayLike, value)))
