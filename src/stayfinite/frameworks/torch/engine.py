"""A train step on PyTorch, run op by op on a given state: once as it was, once in float64."""

from __future__ import annotations

import contextlib
import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch

from stayfinite.frameworks.batch import Batch
from stayfinite.frameworks.effects import suppressed
from stayfinite.frameworks.names import fresh
from stayfinite.frameworks.recording.engine import (
    EagerResult,
    Engine,
    NamedValue,
    OutputNumbers,
    Update,
    named_values,
)
from stayfinite.frameworks.recording.recording import Recording
from stayfinite.frameworks.state import State, Tensor, keeps_its_infinities
from stayfinite.frameworks.subject import Subject, state_variables
from stayfinite.frameworks.torch import finite_checks, private
from stayfinite.frameworks.torch.capture import Dispatch
from stayfinite.frameworks.torch.capture_tensors import dtype_of
from stayfinite.frameworks.torch.operator_errors import raises_on_bad_numbers
from stayfinite.frameworks.torch.other_dtype import FLOAT64, OtherDtype, converted
from stayfinite.frameworks.torch.saved_values import SavedValues
from stayfinite.frameworks.torch.state import random_state, restore_random, state_of


class TorchEngine(ABC):
    """Runs the train step of a subject on PyTorch; implements `Engine`.

    What differs between Keras and plain PyTorch is in its subclasses.
    """

    def __init__(self, subject: Subject) -> None:
        self.subject = subject

    @abstractmethod
    def tensor(self, value: Tensor) -> Any:
        """A NumPy array as a tensor on the device of the training; a tensor as it is."""

    @abstractmethod
    def watcher(self) -> StepWatcher:
        """Notes the loss and the gradients of one run."""

    @abstractmethod
    def observed(self, watcher: StepWatcher) -> AbstractContextManager[None]:
        """Inside the block, `watcher` is called for what the step does."""

    @abstractmethod
    def entered(self, recording: Recording) -> AbstractContextManager[None]:
        """Inside the block, `recording.inside` is entered with each library object at work."""

    @abstractmethod
    def apply(self, update: Update, factor: float) -> None:
        """Apply given gradients, learning rates times `factor`."""

    @abstractmethod
    def kept(self) -> AbstractContextManager[None]:
        """What a step changes beside its variables is as it was after the block."""

    @abstractmethod
    def other_bad_state(self, state: State) -> list[str]:
        """Names of bad new state beside the variables, and of loss scales below their minimum."""

    @abstractmethod
    def default_device(self, device: str) -> AbstractContextManager[None]:
        """Inside the block, tensors are made on `device`."""

    def compiled(self) -> Engine:
        """This one: `torch.compile` is looked at by no run."""
        return self

    def variables(self) -> list[list[Any]]:
        """The variables of a state, in its order."""
        return state_variables(self.subject)

    def named_state(self, state: State) -> list[NamedValue]:
        """The values of `state` with role and unique path."""
        return named_values(self.subject, state)

    def run(
        self,
        state: State,
        batch: Batch,
        recording: Recording | None = None,
        *,
        keep_after: bool = False,
    ) -> EagerResult:
        """Run the train step on copies of `state`, and leave the variables as they were."""
        watcher = self.watcher()
        with self._on(state, watcher), contextlib.ExitStack() as stack:
            dispatch: Dispatch | None = None
            if recording is not None:
                dispatch = stack.enter_context(self._recorded(recording, state, batch))
                watcher.number = dispatch.numbers.number
            logs = self._logs(watcher, batch, dispatch)
            # Operations from here on are not part of the step.
            stack.close()
            result = self._result(watcher, logs, state)
            return (
                dataclasses.replace(result, after=state_of(self.subject)) if keep_after else result
            )

    def _logs(self, watcher: StepWatcher, batch: Batch, dispatch: Dispatch | None) -> Any:
        """The result of the train step; a NaN loss if an operator raises on a NaN."""
        try:
            with self.observed(watcher):
                return self.subject.train_step(batch.data)
        except Exception:
            number = None if dispatch is None else dispatch.refusal
            if number is None and (
                dispatch is not None
                or not raises_on_bad_numbers(lambda: self.subject.train_step(batch.data))
            ):
                raise
            watcher.loss, watcher.loss_number = torch.tensor(float("nan")), number
            return {}

    def update(self, state: State, updates: list[Update], factor: float) -> tuple[str, ...]:
        """Apply given gradients on `state`; returns the names of the bad new state."""
        watcher = self.watcher()
        with self._on(state, watcher), self.observed(watcher), torch.no_grad():
            for update in updates:
                self.apply(update, factor)
            return self._bad_state(state)

    def run_wide(self, state: State, batch: Batch) -> EagerResult:
        """Run the train step with every floating-point value in float64."""
        watcher = self.watcher()
        weights, others, slots, metrics = self.variables()
        with self._on(state, watcher), contextlib.ExitStack() as stack:
            stack.enter_context(converted([weights, others, metrics], FLOAT64))

            # Slots are not read before: until then, the memory is that of the forward pass.
            def widen_slots() -> None:
                with private.unseen():
                    stack.enter_context(converted([slots], FLOAT64))

            watcher.before_update = widen_slots
            stack.enter_context(OtherDtype(FLOAT64))
            stack.enter_context(self.observed(watcher))
            self.subject.train_step(batch.map(_widened).data)
            bad = self._bad_state(state)
        return EagerResult(watcher.loss, watcher.updates, bad, num_losses=watcher.num_losses)

    @contextlib.contextmanager
    def on_device(self, device: str) -> Iterator[None]:
        """The variables are on `device`, and so is what the step makes."""
        tensors = [private.tensor_of(v) for group in self.variables() for v in group]
        held = [tensor.data for tensor in tensors]
        with self.default_device(device):
            try:
                for tensor in tensors:
                    tensor.data = tensor.data.to(device, copy=True)
                yield
            finally:
                for tensor, data in zip(tensors, held, strict=True):
                    tensor.data = data

    def moved(self, tensor: Any, device: str) -> Any:
        """A copy on `device`."""
        return tensor.to(device)

    def is_finite(self, tensor: Any) -> bool:
        """Whether every element is finite; integers always are."""
        return finite_checks.all_finite(finite_checks.floating([tensor]))

    def numpy(self, tensor: Tensor) -> np.ndarray:
        """The tensor on the host, bfloat16 as float32."""
        return private.numpy_of(tensor)

    @contextlib.contextmanager
    def _on(self, state: State, watcher: StepWatcher) -> Iterator[None]:
        """The model on `state` inside the block, and as it was afterwards."""
        with suppressed(), self.kept(), self._stored(state, watcher):
            yield

    @contextlib.contextmanager
    def _stored(self, state: State, watcher: StepWatcher) -> Iterator[None]:
        groups = self.variables()
        held = [
            [_held(variable, value) for variable, value in zip(*group, strict=True)]
            for group in zip(groups[:3], state.groups[:3], strict=True)
        ]
        watcher.restored = {id(private.tensor_of(v)) for group in groups for v in group}
        for buffer in private.buffers_of(self.subject):
            watcher.others.save(buffer)
        metrics = [private.tensor_of(v).detach().clone() for v in groups[3]]
        before = random_state()
        restore_random(before if state.random is None else state.random)
        _assign(groups[:3], state.groups[:3])
        self.subject.reset_metrics()
        try:
            yield
        finally:
            for variable in groups[0]:
                private.tensor_of(variable).grad = None
            _assign(groups, [*held, metrics])
            watcher.others.restore()
            restore_random(before)

    @contextlib.contextmanager
    def _recorded(self, recording: Recording, state: State, batch: Batch) -> Iterator[Any]:
        dispatch = Dispatch(recording)

        variables = [v for group in self.variables() for v in group]
        for named, variable in zip(self.named_state(state), variables, strict=True):
            tensor = private.tensor_of(variable)
            number = recording.leaf(named.role, named.name, tensor.shape, dtype_of(tensor))
            dispatch.numbers.bind(tensor, number)
        for leaf in batch.leaves:
            value: Any = leaf.value
            number = recording.leaf(leaf.role, leaf.name, value.shape, dtype_of(value))
            dispatch.numbers.bind(value, number)
        with self.entered(recording), dispatch:
            yield dispatch

    def _result(self, watcher: StepWatcher, logs: Any, state: State) -> EagerResult:
        outputs = None
        if watcher.number is not None:
            names = [named.name for named in self.named_state(state)]
            number = watcher.number
            variables = [v for group in self.variables()[:3] for v in group]
            tensors = [private.tensor_of(v) for v in variables]
            new_state = {
                name: number(tensor)
                for name, tensor in zip(names, tensors, strict=False)
                if tensor.is_floating_point()
            }
            observed = [number(leaf) for leaf in tensors_in(logs)]
            outputs = OutputNumbers(
                watcher.loss_number, watcher.gradient_numbers, new_state, tuple(observed)
            )
        bad, num_losses = self._bad_state(state), watcher.num_losses
        return EagerResult(watcher.loss, watcher.updates, bad, outputs, num_losses=num_losses)

    def _is_bad(self, named: NamedValue, after: Any) -> bool:
        if self.is_finite(after):
            return False
        return not (named.may_keep_infinity and self.is_as_before(named.value, after))

    def is_as_before(self, before: Any, after: Any) -> bool:
        """Whether all that is not finite in a variable that may keep it was there before."""
        return keeps_its_infinities(self.numpy(before), self.numpy(after))

    def _bad_state(self, state: State) -> tuple[str, ...]:
        groups = self.variables()
        variables = [v for group in groups for v in group]
        bad = [
            named.name
            for named, variable in zip(self.named_state(state), variables, strict=True)
            if named.role != "metric" and self._is_bad(named, private.tensor_of(variable))
        ]
        return (*bad, *self.other_bad_state(state))


class StepWatcher:
    """Notes what a run differentiates and what its optimizers are given."""

    def __init__(self) -> None:
        self.number: Callable[[Any], int] | None = None
        self.loss: Any = None
        self.loss_number: int | None = None
        self.num_losses = 1
        self.updates: list[Update] = []
        self.gradient_numbers: dict[str, int] = {}
        self._scaled: list[tuple[Any, Any]] = []
        # What is no part of a state and is written to all the same.
        self.others = SavedValues()
        self.before_update: Callable[[], None] = lambda: None
        self.restored: set[int] = set()

    def differentiating(self, root: Any) -> None:
        """The loss, before scaling. Where there are several, the first one that is not finite."""
        tensor = root[0] if isinstance(root, list | tuple) else root
        tensor = next((loss for loss, result in self._scaled if result is tensor), tensor)
        if not isinstance(tensor, torch.Tensor):
            return
        if self.loss is None or bool(torch.isfinite(self.loss).all()):
            self.loss = tensor.detach()
            self.loss_number = None if self.number is None else self.number(tensor)

    def scaled(self, loss: Any, result: Any) -> None:
        """Keep the loss under the tensor that it was scaled to."""
        self._scaled.append((loss, result))

    def note(self, optimizer: Any, pairs: Sequence[tuple[Any, Any]]) -> None:
        """Note the gradients that `optimizer` is given, each with its variable."""
        self.updates.append(Update(optimizer, [g for g, _ in pairs], [v for _, v in pairs]))
        if self.number is not None:
            for gradient, variable in pairs:
                name = fresh(variable.path, self.gradient_numbers)
                self.gradient_numbers[name] = self.number(gradient)


def tensors_in(structure: Any) -> list[Any]:
    """The tensors of nested tuples, lists and dicts."""
    if isinstance(structure, torch.Tensor):
        return [structure]
    if isinstance(structure, dict):
        structure = list(structure.values())
    if isinstance(structure, list | tuple):
        return [tensor for part in structure for tensor in tensors_in(part)]
    return []


def _held(variable: Any, value: Tensor) -> Any:
    """What the variable holds: `value` where that is the same, else a copy."""
    tensor = private.tensor_of(variable)
    return value if not tensor.is_sparse and torch.equal(tensor, value) else tensor.detach().clone()


def _assign(groups: list[list[Any]], state: Sequence[Sequence[Tensor]]) -> None:
    with torch.no_grad():
        for variables, values in zip(groups, state, strict=True):
            for variable, value in zip(variables, values, strict=True):
                private.tensor_of(variable).copy_(value)


def _widened(leaf: Any) -> Any:
    return leaf.double() if isinstance(leaf, torch.Tensor) and leaf.is_floating_point() else leaf
