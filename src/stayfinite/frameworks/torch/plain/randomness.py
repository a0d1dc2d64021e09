"""The states of the random generators that a loop may draw from: of PyTorch, NumPy and Python."""

from __future__ import annotations

import random
from collections.abc import Iterable
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import torch

from stayfinite.frameworks.state import RandomState, Tensor
from stayfinite.frameworks.torch.state import random_state, restore_random

# So many steps show whether a loop draws from NumPy or Python, whose states take longer to copy.
PROBED_STEPS = 3
# Generators that a loop may have under a name.
_KINDS = (torch.Generator, np.random.Generator, np.random.RandomState, random.Random)


# A PyTorch without CUDA has no other state. It is read in every step.
_HAS_CUDA = torch.backends.cuda.is_built()
_state_of_cpu = torch.default_generator.get_state


class Generators(NamedTuple):
    """States of generators; None for one that the loop does not draw from.

    `cpu` and `cuda` are PyTorch's own. `objects` are generators that the loop has under a name,
    each with its state.
    """

    cpu: Tensor
    cuda: Tensor | None = None
    numpy: Any = None
    python: Any = None
    objects: tuple[tuple[Any, Any], ...] = ()

    @property
    def torch(self) -> RandomState:
        """The states of PyTorch's own generators."""
        return RandomState(self.cpu, self.cuda)

    def now(self) -> Generators:
        """The present states of the same generators."""
        return Generators(
            *_of_torch(),
            None if self.numpy is None else np.random.get_state(),
            None if self.python is None else random.getstate(),
            _states([generator for generator, _ in self.objects]),
        )

    def restore(self) -> None:
        """Set the generators to these states."""
        restore_random(self.torch)
        if self.numpy is not None:
            np.random.set_state(self.numpy)
        if self.python is not None:
            random.setstate(self.python)
        for generator, state in self.objects:
            _set_state(generator, state)


class Following(Generators):
    """The generators as the iteration before has left them."""

    def restore(self) -> None:
        """Nothing."""


class GeneratorNotes:
    """Notes the states of the generators, as far as a loop draws from them.

    Attributes:
        is_probing: Whether it is not known yet which generators are drawn from.
    """

    def __init__(self) -> None:
        self.is_probing = True
        self._probed = 0
        self._numpy = self._python = False
        self._objects: list[Any] = []
        self._draws_from_torch_alone = False

    def look(self, values: Iterable[object]) -> None:
        """Note from now on the states of generators among `values` and their attributes."""
        self._objects += self._unknown_in(values)
        self._settle()

    def now_with(self, values: Iterable[object]) -> Generators:
        """The present states, also of generators among `values` that are not noted."""
        present, others = self.now(), self._unknown_in(values)
        return present._replace(objects=present.objects + _states(others))

    def _unknown_in(self, values: Iterable[object]) -> list[Any]:
        found: dict[int, Any] = {}
        for value in values:
            is_object = hasattr(value, "__dict__") and not isinstance(value, type | ModuleType)
            for each in [value, *(vars(value).values() if is_object else ())]:
                if type(each) in _KINDS and not any(each is known for known in self._objects):
                    found[id(each)] = each
        return list(found.values())

    def now(self) -> Generators:
        """The present states."""
        if self._draws_from_torch_alone:
            if _HAS_CUDA:
                return Generators(*_of_torch())
            # Calls no Python code, as this is made in every step.
            return tuple.__new__(Generators, (_state_of_cpu(), None, None, None, ()))
        return Generators(
            *_of_torch(),
            np.random.get_state() if self._numpy or self.is_probing else None,
            random.getstate() if self._python or self.is_probing else None,
            _states(self._objects) if self._objects else (),
        )

    def step_ended(self, began: Generators) -> None:
        """Note which generators a step has drawn from."""
        if not self.is_probing:
            return
        self._probed += 1
        self.is_probing = self._probed < PROBED_STEPS
        if began.numpy is not None:
            after: Any = np.random.get_state()
            before = began.numpy
            self._numpy |= before[2] != after[2] or not np.array_equal(before[1], after[1])
        if began.python is not None:
            self._python |= began.python != random.getstate()
        self._settle()

    def _settle(self) -> None:
        has_others = self._numpy or self._python or bool(self._objects)
        self._draws_from_torch_alone = not (self.is_probing or has_others)

    def everything(self) -> Generators:
        """The present states of all generators."""
        return Generators(
            *_of_torch(), np.random.get_state(), random.getstate(), _states(self._objects)
        )


def _of_torch() -> tuple[Tensor, Tensor | None]:
    state = random_state()
    return state.cpu, state.cuda


def _states(generators: Iterable[Any]) -> tuple[tuple[Any, Any], ...]:
    return tuple([(generator, _state(generator)) for generator in generators])


def _state(generator: Any) -> Any:
    if isinstance(generator, torch.Generator):
        return generator.get_state()
    if isinstance(generator, np.random.Generator):
        return generator.bit_generator.state
    return generator.getstate() if isinstance(generator, random.Random) else generator.get_state()


def _set_state(generator: Any, state: Any) -> None:
    if isinstance(generator, torch.Generator):
        generator.set_state(state)
    elif isinstance(generator, np.random.Generator):
        generator.bit_generator.state = state
    elif isinstance(generator, random.Random):
        generator.setstate(state)
    else:
        generator.set_state(state)
