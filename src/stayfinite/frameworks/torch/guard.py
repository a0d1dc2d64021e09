"""Attach the sentinel to a train function on PyTorch, and stop the training safely."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from stayfinite.frameworks.base import OnBad
from stayfinite.frameworks.filed_batch import TensorForm
from stayfinite.frameworks.guarded_training import ValuesOfSteps
from stayfinite.frameworks.heavy_state import MAX_WRITTEN_BYTES, Writes
from stayfinite.frameworks.keras import own_values
from stayfinite.frameworks.recorded_steps import is_frozen
from stayfinite.frameworks.recorder import Flag, Recorder
from stayfinite.frameworks.state import RandomState, State, Variable
from stayfinite.frameworks.subject import (
    Compilation,
    Subject,
    TrainFunction,
    TrainStep,
    state_variables,
)
from stayfinite.frameworks.torch import private
from stayfinite.frameworks.torch.guard_cuda import CudaSentinel
from stayfinite.frameworks.torch.guard_sentinel import (
    SeenSteps,
    TorchSentinel,
    clear_gradients,
    lasting,
)
from stayfinite.frameworks.torch.operator_errors import is_from_operator, raises_on_bad_numbers
from stayfinite.frameworks.torch.saved_values import SavedValues
from stayfinite.frameworks.torch.state import (
    num_bytes_of,
    random_state,
    restore_random,
    state_of,
    store,
)
from stayfinite.frameworks.train_function import GuardedTrainFunction


class TorchTrainFunction(GuardedTrainFunction):
    """The train function of a subject on PyTorch: the same call, observed by a sentinel.

    On a CPU, `on_bad` is called at the end of the bad step.
    """

    def __init__(
        self,
        inner: TrainFunction,
        subject: Subject,
        recorder: Recorder,
        on_bad: OnBad,
        *,
        resumes: bool,
    ) -> None:
        super().__init__(subject, recorder, on_bad, resumes=resumes)
        self.inner = inner
        self._sentinel: TorchSentinel | None = None
        # The variables after the last step, and what `_marks` gave of them.
        self._variables: list[Variable] = []
        self._left: list[tuple[int, int]] = []

    def __call__(self, data: Any) -> Any:
        """One call of Keras's train function, on a list of one batch: its logs."""
        # All steps of an epoch are called from the same code, that of `fit`.
        self.enter(sys._getframe(1).f_code)
        self.poll(None, wait=False)
        subject = self._subject
        self.remember(lambda: num_bytes_of(subject), lambda: state_of(subject, device="cpu"))
        batches = self._recorder.recording(
            iter(data), own=_own, may_borrow=self._may_borrow, form=_FORM
        )
        for _ in batches:
            pass
        logs, flag = _run(self._current_sentinel(), subject, self.inner, data)
        logs = self.poll(self.expect(flag, logs), wait=False)
        if self._recorder.state_log is not None:
            self._variables = [v for group in state_variables(subject) for v in group]
            self._left = _marks(self._variables)
        return logs

    has_drawn = True

    @property
    def is_eager(self) -> bool:
        """Whether the step is run as it is."""
        return not private.is_compiled(self.inner)

    def values_of_steps(self) -> ValuesOfSteps | None:
        """Attributes and random numbers of the user's objects."""
        return own_values.of_subject(self._subject)

    def written(self) -> Writes | None:
        """The variables that were written to since the last step."""
        variables = self._variables
        if self._first_of_epoch or not self._in_epoch:
            variables = [v for group in state_variables(self._subject) for v in group]
        marks = _marks(variables)
        if len(marks) != len(self._left):
            return None
        pairs = enumerate(zip(self._left, marks, strict=True))
        changed = [position for position, (before, now) in pairs if before != now]
        tensors = {position: private.tensor_of(variables[position]) for position in changed}
        if sum([private.num_bytes(tensor) for tensor in tensors.values()]) > MAX_WRITTEN_BYTES:
            return None
        return {
            position: np.array(private.numpy_of(tensor)) for position, tensor in tensors.items()
        }

    def random_now(self) -> RandomState:
        """The generators of PyTorch."""
        return random_state()

    def copied(self) -> State:
        """A copy of the present state on the host."""
        return state_of(self._subject, device="cpu")

    def on_host(self, value: object) -> np.ndarray:
        """A value of such a copy as an array."""
        return value if isinstance(value, np.ndarray) else private.numpy_of(value)

    def begin_sentinel(self) -> None:
        """Begin a new sentinel with the next step."""
        self._sentinel = None

    def detached(self, loss: Any) -> Any:
        """`loss` without the graph of its step, which a train step of the user's may return."""
        return loss.detach() if isinstance(loss, torch.Tensor) else loss

    def _may_borrow(self, data: Any) -> bool:
        """Whether the flag of the step is known when it is over."""
        return not isinstance(self._current_sentinel(), CudaSentinel)

    def last_good(self, step: int) -> State:
        """Restore the random state of the bad step; the sentinel has restored the rest."""
        sentinel, self._sentinel = self._sentinel, None
        assert sentinel is not None
        clear_gradients(self._subject)
        restore_random(sentinel.random_before(step))
        return state_of(self._subject)

    def set_state(self, state: State) -> None:
        """Copy the values of `state`, and set the random generators."""
        store(self._subject, state)
        if state.random is not None:
            restore_random(state.random)

    def present(self) -> State:
        """The values of the variables."""
        return state_of(self._subject)

    def make(self, data: object) -> tuple[Any, Flag]:
        """Make one step."""
        return _run(self._current_sentinel(), self._subject, self.inner, [data])

    def resumed(self) -> None:
        """Nothing: the steps changed the variables themselves."""

    def went_back(self) -> None:
        """Nothing: no step is checked late."""

    def rebuild(self) -> None:
        """Have what `torch.compile` made compiled again; all else runs the code that is there."""
        torch.compiler.reset()

    def _current_sentinel(self) -> TorchSentinel:
        if self._sentinel is None:
            self._sentinel = _new_sentinel(
                self._subject, self.inner, self._first_step, keeps_metrics=self.resumes
            )
        return self._sentinel

    def fails_again(self, state: State, data: object) -> bool:
        """Run the compiled step, and put everything back that it changed."""
        with _put_back(self._subject):
            sentinel = _new_sentinel(self._subject, self.inner, 0)
            _, flag = _run(sentinel, self._subject, self.inner, [data])
            return int(flag) >= 0


def attach(
    subject: Subject, recorder: Recorder, on_bad: OnBad, *, resumes: bool = False
) -> TorchTrainFunction:
    """Put the sentinel around the train function of `subject`."""
    present = subject.train_function
    if isinstance(present, TorchTrainFunction):
        if present.resumes == resumes:
            return present
        present = present.inner
    inner = subject.make_train_function() if present is None else present
    function = TorchTrainFunction(inner, subject, recorder, on_bad, resumes=resumes)
    subject.train_function = function
    return function


def compiled(step: TrainStep, compilation: Compilation) -> TrainFunction:
    """A train function that makes `step` on the only batch of a list."""

    def train_function(data: Any) -> Any:
        return step(data[0])

    return train_function if compilation.eager else torch.compile(train_function)


def _run(
    sentinel: TorchSentinel, subject: Subject, inner: TrainFunction, data: Any
) -> tuple[Any, Flag]:
    sentinel.begin(subject)
    try:
        logs = inner(data)
        return logs, sentinel.end(logs)
    except Exception as error:
        if private.is_compiled(inner) or not is_from_operator(error):
            raise
        # If the error has another cause, the model is left as Keras without the guard leaves it.
        left = _kept(subject)
        flag = sentinel.fail()
        if not _refuses(subject, inner, data):
            left.restore()
            raise
        return {}, flag
    finally:
        sentinel.abandon()


def _refuses(subject: Subject, inner: TrainFunction, data: Any) -> bool:
    """Whether the step raises because an operator refuses the non-finite number it is given."""
    with _put_back(subject):
        return raises_on_bad_numbers(lambda: inner(data))


@contextlib.contextmanager
def _put_back(subject: Subject) -> Iterator[None]:
    """State, random numbers and gradients after the block are those before it."""
    whole = _kept(subject)
    before = random_state()
    try:
        with own_values.kept(subject):
            yield
    finally:
        restore_random(before)
        whole.restore()
        clear_gradients(subject)


def _kept(subject: Subject) -> SavedValues:
    """A copy of every value that the subject holds now."""
    whole = SavedValues()
    whole.save_all([*lasting(subject), *subject.metrics_variables])
    return whole


def _new_sentinel(
    subject: Subject, inner: TrainFunction, first_step: int, *, keeps_metrics: bool = False
) -> TorchSentinel:
    tensors = [private.tensor_of(v) for v in subject.trainable_variables]
    on_cuda = any(tensor.device.type == "cuda" for tensor in tensors)
    kind = CudaSentinel if on_cuda else TorchSentinel
    return kind(subject, SeenSteps(first_step, private.is_compiled(inner), keeps_metrics))


def _marks(variables: list[Variable]) -> list[tuple[int, int]]:
    """What changes with each write to a variable."""
    tensors = [private.tensor_of(variable) for variable in variables]
    return list(zip(map(id, tensors), private.writes_to(tensors), strict=True))


def _own(data: Any) -> Any:
    """A copy of a batch: a loader may fill the same buffer again."""
    if isinstance(data, torch.Tensor):
        return data.detach().clone()
    if isinstance(data, np.ndarray):
        return data if is_frozen(data) else np.array(data)
    if isinstance(data, dict):
        return {key: _own(item) for key, item in data.items()}
    if type(data) in (tuple, list):
        return type(data)(_own(item) for item in data)
    return data


def _array_of(leaf: Any) -> np.ndarray | None:
    """A tensor as an array with the same memory; None where NumPy cannot have it."""
    if not isinstance(leaf, torch.Tensor) or leaf.requires_grad or not leaf.is_cpu:
        return None
    is_plain = leaf.layout is torch.strided and leaf.dtype != torch.bfloat16
    return private.numpy_of(leaf) if is_plain and not leaf.is_quantized else None


_FORM = TensorForm(_array_of, torch.from_numpy)
