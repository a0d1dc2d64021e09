"""The whole state of a training before a step, in one form on every framework."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

# An array of the framework in use, or a NumPy array. Only the framework's own folder computes with
# it, so it has no attributes here.
Tensor = object


class Variable(Protocol):
    """One array of a state. Only the framework's own folder reads and writes its value."""

    @property
    def path(self) -> str:
        """Its name; two variables may share one."""
        ...

    def assign(self, value: Any) -> Any:
        """Set its value."""
        ...


@dataclass(frozen=True)
class RandomState:
    """Random generators outside the variables of a model: of the CPU, and of CUDA where in use."""

    cpu: Tensor
    cuda: Tensor | None = None


# Their names among the arrays of a saved state, which else has paths of variables.
RANDOM = ("random generator: cpu", "random generator: cuda")


def arrays_of_random(random: RandomState | None) -> dict[str, np.ndarray]:
    """The states of the generators as arrays by name."""
    states = () if random is None else (random.cpu, random.cuda)
    named = zip(RANDOM, states, strict=False)
    return {name: np.array(state) for name, state in named if state is not None}


def random_of_arrays(arrays: Mapping[str, np.ndarray]) -> RandomState | None:
    """The generators of what `arrays_of_random` made; None where there are none."""
    cpu, cuda = (arrays.get(name) for name in RANDOM)
    return None if cpu is None else RandomState(cpu, cuda)


def keeps_its_infinities(before: np.ndarray, after: np.ndarray) -> bool:
    """Whether `after` is finite, but for infinities that were there before the step."""
    return bool((np.isfinite(after) | (np.isinf(after) & (after == before))).all())


@dataclass(frozen=True)
class State:
    """The values of all variables, each group in the order of the variables of the subject.

    `random` is set on PyTorch only, which draws an unseeded dropout from a generator that is in no
    variable.
    """

    trainable: tuple[Tensor, ...]
    non_trainable: tuple[Tensor, ...]
    optimizer: tuple[Tensor, ...]
    metrics: tuple[Tensor, ...]
    random: RandomState | None = None

    @classmethod
    def of(cls, groups: Sequence[Sequence[Tensor]], random: RandomState | None = None) -> State:
        """A state from its four groups.

        Raises:
            ValueError: there are not four.
        """
        trainable, non_trainable, optimizer, metrics = map(tuple, groups)
        return cls(trainable, non_trainable, optimizer, metrics, random)

    @property
    def groups(self) -> tuple[tuple[Tensor, ...], ...]:
        """Trainable, non-trainable, optimizer and metric values."""
        return self.trainable, self.non_trainable, self.optimizer, self.metrics

    @property
    def values(self) -> tuple[Tensor, ...]:
        """All values, group after group."""
        return (*self.trainable, *self.non_trainable, *self.optimizer, *self.metrics)

    def has_form_of(self, other: State) -> bool:
        """Whether weights, statistics and optimizer variables are as many as those of `other`.

        Metrics do not count: a second `compile` or the first step may add some, and each replay
        resets them.
        """
        return list(map(len, self.groups[:3])) == list(map(len, other.groups[:3]))

    def with_metrics(self, metrics: Sequence[Tensor]) -> State:
        """This state with other metrics."""
        return dataclasses.replace(self, metrics=tuple(metrics))

    def with_values(self, values: Sequence[Tensor]) -> State:
        """This state with other values, in the order of `values`."""
        following = iter(values)
        return self.map(lambda _: next(following))

    def map(self, convert: Callable[[Tensor], Tensor]) -> State:
        """This state with `convert` applied to each value; `random` stays."""
        return State.of([[convert(value) for value in group] for group in self.groups], self.random)

    def with_arrays(self, names: Sequence[str], arrays: Mapping[str, np.ndarray]) -> State:
        """This state with some values replaced.

        Args:
            names: The name of each of `values`.
            arrays: New values by name. Other names are ignored.
        """
        named = iter(zip(names, self.values, strict=True))

        def replaced(group: tuple[Tensor, ...]) -> list[Tensor]:
            found = [next(named) for _ in group]
            return [arrays.get(name, value) for name, value in found]

        return State.of([replaced(group) for group in self.groups], self.random)
