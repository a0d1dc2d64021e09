"""The sentinel on PyTorch: checks a step while it runs, and keeps or restores the old state.

Loss, gradients and what the step assigned so far are checked just before an optimizer is applied.
If they are bad, it is not; if they are good and the update can be proved finite (`bounds.py`), it
is applied as it is. Else, and in the first step of a model with a train step of its own, the old
values are kept until the new ones have been checked. The same holds for later steps if the first
one shows that something else follows the update: another optimizer, or an assignment.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from stayfinite.frameworks.keras import loss_scales
from stayfinite.frameworks.keras import private as keras_private
from stayfinite.frameworks.keras.optimizer_settings import build_slots
from stayfinite.frameworks.recorder import MAX_PENDING, Flag, KnownFlag
from stayfinite.frameworks.state import RandomState
from stayfinite.frameworks.subject import Subject
from stayfinite.frameworks.torch import finite_checks, hooks, keras_hooks, private
from stayfinite.frameworks.torch.bounds import Proof
from stayfinite.frameworks.torch.saved_values import SavedValues
from stayfinite.frameworks.torch.state import random_state


@dataclass(frozen=True)
class SeenSteps:
    """The steps that a sentinel sees.

    Attributes:
        first: The number of the first one in the whole script.
        compiled: Whether they run under `torch.compile`.
        keep_metrics: Whether a bad one leaves the metrics as they were, too.
    """

    first: int = 0
    compiled: bool = False
    keep_metrics: bool = False


class TorchSentinel:
    """The sentinel of one model on a device whose numbers can be read without waiting."""

    def __init__(self, subject: Subject, steps: SeenSteps) -> None:
        self._seen = steps
        self._metrics = SavedValues()
        self._subject: Subject | None = None
        self._buffers = private.buffers_of(subject)
        self._saved = SavedValues()
        self._is_metric: dict[int, tuple[Any, bool]] = {}
        self._proofs: dict[int, Proof] = {}
        self._careful = not _ends_in_update(subject)
        self._first = True
        self._steps = 0
        # The random states before the steps whose flags may not have been read yet, oldest first.
        self._random: collections.deque[RandomState] = collections.deque(maxlen=MAX_PENDING + 2)
        self._reset()

    def _reset(self) -> None:
        self._bad = False
        self._checked_loss = False
        self._num_updates = 0
        self._depth = 0
        self._under_scale = False
        self._late = False
        self._scales: list[Any] = []
        self._scaled: tuple[Any, Any] = (None, None)

    def begin(self, subject: Subject) -> None:
        """A step of `subject` begins."""
        self._reset()
        self._random.append(random_state())
        self._steps += 1
        self._subject = subject
        for buffer in self._buffers:
            self._saved.save(buffer)
        if self._seen.compiled:
            # Nothing can be seen from inside without changing what is compiled.
            self._saved.save_all(lasting(subject))
            if self._seen.keep_metrics:
                self._metrics.save_all(subject.metrics_variables)
            self._scales = [private.tensor_of(o.dynamic_scale) for o in _scaling(subject)]
        else:
            keras_hooks.observe(self)

    def abandon(self) -> None:
        """End the step, after a result or an exception; drop all that was kept of it."""
        hooks.unobserve()
        self._saved.clear()
        self._metrics.clear()
        self._subject, self._scaled = None, (None, None)

    def random_before(self, step: int) -> RandomState:
        """PyTorch's random state before `step`, counted over the whole script."""
        return self._random[step - self._seen.first - self._steps]

    def fail(self) -> Flag:
        """The step raised. Undoes what it did, and returns the flag of a bad step."""
        hooks.unobserve()
        self._bad = True
        return self._settle(self._current())

    def end(self, logs: Any) -> Flag:
        """The step has been made. Undoes it if it was bad, and returns its flag."""
        hooks.unobserve()
        subject = self._current()
        if not self._checked_loss:
            self._check(_loss_of(logs))
        if self._seen.compiled and not self._scales:
            self._check(gradients_of(subject))
        self._check_state(self._saved.written())
        if self._first:
            self._check_state([private.tensor_of(v) for v in lasting(subject)])
        if self._scales:
            self._check_scales()
        flag = self._settle(subject)
        follows = self._late or self._num_updates > 1
        self._careful = follows or (self._careful and not self._first)
        self._first = False
        return flag

    # Called by the hooks.

    def differentiating(self, root: Any) -> None:
        """Check the loss, unscaled."""
        self._checked_loss = True
        roots = root if isinstance(root, list | tuple) else [root]
        scaled, loss = self._scaled
        self._check([loss if one is scaled else one for one in roots])

    def scaled(self, loss: Any, result: Any) -> None:
        """Remember which loss was scaled to `result`."""
        self._scaled = (result, loss)

    def assigning(self, variable: Any) -> None:
        """Keep the old value of a variable that is no metric."""
        known = self._is_metric.get(id(variable)) or self._classify(variable)
        if known[1]:
            if self._seen.keep_metrics:
                self._metrics.save(private.tensor_of(variable))
            return
        if self._num_updates and not self._depth:
            self._late = True
        self._saved.save(private.tensor_of(variable))

    def update(self, optimizer: Any, gradients: Any, variables: Any, run: Callable[[], Any]) -> Any:
        """Apply the outermost optimizer only if that leaves all finite or can be undone."""
        if self._depth and not self._under_scale:
            return run()
        variables = _built(optimizer, variables)
        given = [(g, v) for g, v in zip(gradients, variables, strict=False) if g is not None]
        return self._applied(optimizer, [g for g, _ in given], [v for _, v in given], run)

    def scaled_update(
        self, optimizer: Any, gradients: Any, variables: Any, run: Callable[[], Any]
    ) -> Any:
        """Apply a `LossScaleOptimizer`, which skips bad gradients by itself."""
        _built(optimizer, variables)
        if self._is_skipped():
            return None
        self._under_scale = True
        self._scales.append(private.tensor_of(optimizer.dynamic_scale))
        try:
            return self._entered(run)
        finally:
            self._under_scale = False

    def _check_scales(self) -> None:
        for scale in self._scales:
            before = self._saved.old(scale)
            if before is not None:
                self._check_collapse(loss_scales.has_collapsed(before, scale.detach()))

    # The checks. `CudaSentinel` overrides these: the host must not wait for the device.

    def _check(self, tensors: Iterable[Any]) -> None:
        """Note that the step is bad if one of `tensors` is."""
        if not self._bad:
            self._bad = not finite_checks.all_finite(finite_checks.floating(tensors))

    def _check_state(self, tensors: list[Any]) -> None:
        """`_check` for new state, in which some variables may keep infinities."""
        if not self._bad and not finite_checks.all_finite(finite_checks.floating(tensors)):
            self._check(self._without_kept_infinities(tensors))

    def _without_kept_infinities(self, tensors: list[Any]) -> list[Any]:
        """`tensors` with 0 for infinities that one of `may_keep_infinity` held before.

        A tensor that no hook saw being written is as it was.
        """
        subject = self._current()
        variables = [*subject.trainable_variables, *subject.non_trainable_variables]
        positions = subject.may_keep_infinity()
        may_keep = {id(private.tensor_of(variables[position])) for position in positions}
        judged = []
        for tensor in tensors:
            if id(tensor) in may_keep and tensor.is_floating_point():
                old = self._saved.old(tensor)
                kept = torch.isinf(tensor) & (tensor == (tensor if old is None else old))
                tensor = torch.where(kept, torch.zeros_like(tensor), tensor)
            judged.append(tensor)
        return judged

    def _check_collapse(self, collapsed: Any) -> None:
        self._bad = self._bad or bool(collapsed)

    def _is_skipped(self) -> bool:
        """Whether the step is already bad, so that the optimizer must not be applied."""
        if not self._careful:
            self._check_state(self._saved.written())
        return self._bad

    def _applied(
        self, optimizer: Any, gradients: list[Any], variables: list[Any], run: Callable[[], Any]
    ) -> Any:
        if self._is_skipped():
            return None
        size = finite_checks.norm(finite_checks.floating(gradients))
        if not self._under_scale and not size < float("inf"):
            self._check(gradients)
            if self._bad:
                return None
        proof = self._proof(optimizer)
        if self._careful or not proof.holds(variables, size):
            self._saved.save_all([*variables, *optimizer.variables])
            return self._entered(run)
        result = self._entered(run)
        proof.applied()
        return result

    def _proof(self, optimizer: Any) -> Proof:
        if id(optimizer) not in self._proofs:
            self._proofs[id(optimizer)] = Proof(optimizer)
        return self._proofs[id(optimizer)]

    def _settle(self, subject: Subject) -> Flag:
        if not self._bad:
            return KnownFlag(-1)
        self._saved.restore()
        self._metrics.restore()
        clear_gradients(subject)
        return KnownFlag(self._steps - 1)

    def _entered(self, run: Callable[[], Any]) -> Any:
        self._depth += 1
        try:
            return run()
        finally:
            self._depth -= 1
            if not self._depth:
                self._num_updates += 1

    def _current(self) -> Subject:
        assert self._subject is not None, "no step is under way"
        return self._subject

    def _classify(self, variable: Any) -> tuple[Any, bool]:
        metrics = self._current().metrics_variables
        known = (variable, any(variable is metric for metric in metrics))
        self._is_metric[id(variable)] = known
        return known


def lasting(subject: Subject) -> list[Any]:
    """Every variable that outlives a step: all of the state, metrics left out."""
    slots = [v for o in subject.optimizers for v in o.variables]
    return [*subject.trainable_variables, *subject.non_trainable_variables, *slots]


def gradients_of(subject: Subject) -> list[Any]:
    """What the backward pass left in the trainable weights."""
    grads = [private.tensor_of(v).grad for v in subject.trainable_variables]
    return [g for g in grads if g is not None]


def clear_gradients(subject: Subject) -> None:
    """Clear the gradients of the trainable weights."""
    for variable in subject.trainable_variables:
        private.tensor_of(variable).grad = None


def _built(optimizer: Any, variables: Any) -> list[Any]:
    """The variables that an update is for; builds the optimizer as Keras is about to.

    Its slots have to be there before it is applied, so that they can be given back as they were.
    """
    if variables is None:
        return keras_private.variables_of(optimizer)
    owned = list(variables)
    if owned:
        build_slots(optimizer, owned)
    return owned


def _ends_in_update(subject: Subject) -> bool:
    """Whether nothing but Keras's own metrics follows the update in its train step."""
    return subject.uses_default_train_step and subject.uses_default_metrics


def _scaling(subject: Subject) -> list[Any]:
    """The optimizers with a loss scale that has been made."""
    found: Sequence[Any] = subject.optimizers
    return [o for o in found if isinstance(o, keras_private.LossScaleOptimizer) and o.built]


def _loss_of(logs: Any) -> list[Any]:
    loss = logs.get("loss") if isinstance(logs, dict) else None
    if isinstance(loss, int | float):
        return [torch.tensor(float(loss))]
    return [loss]
