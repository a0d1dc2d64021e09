"""Putting the sentinel into a Keras model on PyTorch, and stopping it safely."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from stayfinite.frameworks.keras.train_function import OnBad, Polling
from stayfinite.frameworks.recorder import Recorder
from stayfinite.frameworks.torch import private, random
from stayfinite.frameworks.torch.guard_cuda import LateSentinel
from stayfinite.frameworks.torch.guard_sentinel import Sentinel, clear_gradients, lasting
from stayfinite.frameworks.torch.operator_errors import is_from_operator, raises_on_bad_numbers
from stayfinite.frameworks.torch.saved_values import Journal
from stayfinite.frameworks.torch.state import num_bytes_of, values_of


class GuardedTrainFunction(Polling):
    """Stands in for `model.train_function`: the same call, observed by a sentinel.

    `on_bad(state, step, rerun)` is called, with the model's variables already set to the last
    good state, as soon as the host knows that a step was bad; it is expected to raise. On a CPU
    that is at the end of this very step.
    """

    def __init__(self, inner: Any, model: Any, recorder: Recorder, on_bad: OnBad) -> None:
        super().__init__(model, recorder, on_bad)
        self._inner = inner
        self._sentinel: Sentinel | None = None

    def __call__(self, data: Any) -> Any:
        """One call of Keras's train function, on a list of one batch: its logs."""
        # All steps of an epoch are called from the same code, that of `fit`.
        self.enter(sys._getframe(1).f_code)
        self.poll(wait=False)
        model = self._model()
        if self._sentinel is None:
            self._sentinel = _new_sentinel(model, self._inner, self._recorder.num_steps)
        self.remember(lambda: num_bytes_of(model), lambda: values_of(model, device="cpu"))
        for _ in self._recorder.recording(iter(data), own=_own):
            pass
        logs, flag = _run(self._sentinel, model, self._inner, data)
        self.expect(flag)
        self.poll(wait=False)
        return logs

    def stop(self, step: int) -> None:
        """See `Polling.stop`."""
        sentinel, self._sentinel = self._sentinel, None
        assert sentinel is not None
        model = self._model()
        assert model is not None
        clear_gradients(model)
        random.restore(sentinel.random_before(step))
        self._on_bad(values_of(model), step, self._rerun)

    def _rerun(self, data: Any) -> bool:
        model = self._model()
        assert model is not None
        with _put_back(model):
            _, flag = _run(_new_sentinel(model, self._inner, 0), model, self._inner, [data])
            return int(flag) >= 0


def attach(model: Any, recorder: Recorder, on_bad: OnBad) -> GuardedTrainFunction:
    """Put the sentinel around `model`'s train function."""
    present = model.__dict__.get("train_function")
    if isinstance(present, GuardedTrainFunction):
        return present
    if present is None:
        type(model).make_train_function(model)
        present = model.train_function
    function = GuardedTrainFunction(present, model, recorder, on_bad)
    model.train_function = function
    return function


def _run(sentinel: Sentinel, model: Any, inner: Any, data: Any) -> tuple[Any, Any]:
    sentinel.begin(model)
    try:
        logs = inner(data)
        return logs, sentinel.end(logs)
    except Exception as error:
        if private.is_compiled(inner) or not is_from_operator(error):
            raise
        # If it turns out to be no affair of ours, the model is left as plain Keras leaves it.
        left = _kept(model)
        flag = sentinel.fail()
        if not _refuses(model, inner, data):
            left.restore()
            raise
        return {}, flag
    finally:
        sentinel.abandon()


def _refuses(model: Any, inner: Any, data: Any) -> bool:
    """Whether the step raises because an operator refuses the non-finite number it is given."""
    with _put_back(model):
        return raises_on_bad_numbers(lambda: inner(data))


@contextlib.contextmanager
def _put_back(model: Any) -> Iterator[None]:
    """The model's state, random numbers and gradients after the block are those before it."""
    whole = _kept(model)
    before = random.now()
    try:
        yield
    finally:
        random.restore(before)
        whole.restore()
        clear_gradients(model)


def _kept(model: Any) -> Journal:
    """A journal of everything that the model holds now."""
    whole = Journal()
    whole.save_all([*lasting(model), *model.metrics_variables])
    return whole


def _new_sentinel(model: Any, inner: Any, first_step: int) -> Sentinel:
    tensors = [private.tensor_of(v) for v in model.trainable_variables]
    on_cuda = any(tensor.device.type == "cuda" for tensor in tensors)
    kind = LateSentinel if on_cuda else Sentinel
    return kind(model, first_step, compiled=private.is_compiled(inner))


def _own(data: Any) -> Any:
    """A copy of a batch: a loader may fill the same buffer again."""
    if isinstance(data, torch.Tensor):
        return data.detach().clone()
    if isinstance(data, np.ndarray):
        return np.array(data)
    if isinstance(data, dict):
        return {key: _own(item) for key, item in data.items()}
    if type(data) in (tuple, list):
        return type(data)(_own(item) for item in data)
    return data
