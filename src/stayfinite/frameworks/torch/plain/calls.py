"""Steps that are calls of one function: `stayfinite.guarded`, and the steps of trainers.

A call is known with its arguments, so the step is made again without the source of a loop.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch

from stayfinite.frameworks.obstacles import Obstacle, WhyNot
from stayfinite.frameworks.step import CannotRemakeError
from stayfinite.frameworks.torch.plain import trees
from stayfinite.frameworks.torch.plain.again import NoUpdateError
from stayfinite.frameworks.torch.plain.data import Iteration, LoopData
from stayfinite.frameworks.torch.plain.randomness import Generators


@dataclass(frozen=True)
class StepCall:
    """One call of a function that makes a step.

    Attributes:
        function: The function.
        described: What it is called in a report: `train_step`.
        args: Its arguments by position.
        keywords: Its other arguments.
        generators: The random generators before the call.
    """

    function: Callable[..., Any]
    described: str
    args: tuple[Any, ...]
    keywords: Mapping[str, Any]
    generators: Generators

    @property
    def is_given_loss(self) -> bool:
        """Whether an argument was computed from weights before the call, as a loss is."""
        given = trees.leaves([self.args, dict(self.keywords)])
        return any(getattr(leaf, "grad_fn", None) is not None for _, leaf in given)

    def iteration(self) -> Iteration:
        """The call as data: the arguments with arrays are the batch."""
        arguments = _named(self)
        batch = {n: v for n, v in arguments.items() if any(True for _ in trees.leaves(v))}
        values = {n: v for n, v in arguments.items() if n not in batch}
        return Iteration(values, batch, self.generators)


class CalledStep(ABC):
    """A step that is made again by a call for each of its iterations; an `again.Again`."""

    @property
    @abstractmethod
    def described(self) -> str:
        """What is called, for messages."""

    @abstractmethod
    def call(self, iteration: Iteration, *, number: int) -> None:
        """Make the call of one iteration, the `number`th of the step; the last one updates."""

    def make(self, data: LoopData) -> None:
        """Make each call with the random numbers that it had.

        Raises:
            CannotRemakeError: the data of the step are not known, or no update was made.
        """
        if data.missing is not None:
            raise CannotRemakeError(data.missing)
        for number, iteration in enumerate(data.iterations):
            iteration.generators.restore()
            self.call(iteration, number=number)
        raise NoUpdateError(WhyNot(Obstacle.CALLS_WITHOUT_UPDATE, self.described))


class CallAgain(CalledStep):
    """Makes the calls of a function again.

    Args:
        call: The last call of the step.
        differentiates: Whether a backward pass began inside the calls.
    """

    def __init__(self, call: StepCall, *, differentiates: bool) -> None:
        self._call = call
        self._differentiates = differentiates

    @property
    def cannot_remake(self) -> WhyNot | None:
        """Why the calls are no step; None where they may be one."""
        is_whole = self._differentiates and not self._call.is_given_loss
        if is_whole:
            return None
        return WhyNot(Obstacle.GRADIENTS_FROM_OUTSIDE, self._call.described)

    @property
    def described(self) -> str:
        """`a call of train_step`."""
        return f"a call of {self._call.described}"

    def call(self, iteration: Iteration, *, number: int) -> None:
        """Call the function with the values of `iteration`."""
        given = _arguments(self._call, {**iteration.values, **iteration.batch})
        self._call.function(*given.args, **given.kwargs)


def is_update(function: Callable[..., Any]) -> bool:
    """Whether a function is the `step` of an optimizer."""
    return isinstance(getattr(function, "__self__", None), torch.optim.Optimizer)


@dataclass(frozen=True)
class _Given:
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]


def _signature(call: StepCall) -> inspect.BoundArguments | None:
    try:
        return inspect.signature(call.function).bind(*call.args, **call.keywords)
    except (TypeError, ValueError):  # of compiled code, or the call itself is wrong
        return None


def _named(call: StepCall) -> Mapping[str, Any]:
    bound = _signature(call)
    if bound is not None:
        return MappingProxyType(bound.arguments)
    positional = {f"argument {number}": value for number, value in enumerate(call.args)}
    return {**positional, **call.keywords}


def _arguments(call: StepCall, values: Mapping[str, Any]) -> _Given:
    bound = _signature(call)
    if bound is not None:
        bound.arguments.update(values)
        return _Given(bound.args, bound.kwargs)
    positional = tuple(values[f"argument {number}"] for number in range(len(call.args)))
    return _Given(positional, {name: values[name] for name in call.keywords})
