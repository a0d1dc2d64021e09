"""`stayfinite.Guard()`: the guard as a Keras callback."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import keras

from stayfinite.frameworks.keras import batch_listeners, creation, running_fit
from stayfinite.guard.policy import MAX_BAD_STEPS, Policy
from stayfinite.guard.registry import REGISTRY
from stayfinite.guard.watch import Watch
from stayfinite.incident import Intervention
from stayfinite.saving.bad_ends import BadEndListener
from stayfinite.saving.guarded import make_files_safe


class Guard(keras.callbacks.Callback):
    """Stops a training at its first non-finite step, before the update reaches the weights.

    A step is bad when its loss, a gradient or its new state (weights, moving statistics,
    optimizer variables) has a NaN or an infinity. Its update is not applied; `fit` raises
    `stayfinite.NonFiniteError`, whose message is the report and whose `incident` is the same as
    data. The model then holds the weights of the last good step. The guard stays in the model's
    compiled train function until the model is compiled again, so `train_on_batch` is watched too.
    A non-finite loss of a validation gives a `RuntimeWarning`; the training goes on. In IPython,
    such a notice is a printed line instead.

    Another policy than "stop" lets the training go on, and says so in a `RuntimeWarning`. Metrics,
    callbacks and `History` then see finite values only. The host waits for each step; on JAX only
    where a callback looks at single steps, as a progress bar does.

    During the `fit`, files that Keras saves are checked and put in place whole. A file without NaN
    is never replaced by one with NaN; docs/how-to/saved-files.md has the rules.

    From its creation on, the line that makes each Keras object is noted. So a `Guard` made before
    the model knows the line that made a failing layer, and tries fixes of it, as `stayfinite run`
    does.

    It has no per-batch hook, so it never makes Keras wait for the device on each step, and it
    may stand anywhere in the list of callbacks.

    Args:
        policy: What to do at a bad step. "stop" ends the training. "skip" leaves the step out, as
            if its batch had not been drawn. "rollback" makes it again with the learning rate,
            the clipping or without the samples, as the trials proved. "repair" makes it again with
            the source fix that was proved to have the right value, in the running program. If
            nothing was proved, the last two end the training.
        keep: Folder for the incident and the last good weights. It is made when it is needed.
        max_bad_steps: So many bad steps in a row end the training under every policy.
        log: Whether to add to the logs of each epoch, for the callbacks that follow in the list and
            `History`: `gradient_norm`, the norm of all gradients on the last batch, not clipped and
            without a loss scale; `loss_scale`, if there is one; `num_bad_steps` of this `fit`. The
            training keeps its bits. On JAX and TensorFlow the norm takes one more forward and
            backward pass an epoch, at the weights after it.

    Attributes:
        interventions: How the training went on after each bad step, as `stayfinite.incident` has
            it. The `History` that `fit` returns has the same list.

    Raises:
        UsageError: for another policy.

    Example:

    ```python
    model.fit(x, y, callbacks=[stayfinite.Guard()])
    ```
    """

    def __init__(
        self,
        policy: str = "stop",
        *,
        keep: str | Path = "stayfinite-out",
        max_bad_steps: int = MAX_BAD_STEPS,
        log: bool = False,
    ) -> None:
        super().__init__()
        creation.record()
        self.log = log
        self.policy = policy
        self._rules = Policy(policy, max_bad_steps)
        self.keep = Path(keep)
        self.interventions: list[Intervention] = []

    def set_model(self, model: Any) -> None:
        """Take the model from Keras, without the `model` property of the base class."""
        super().set_model(model)
        # Kept, because on JAX the property `model` writes the whole state back.
        self._guarded = model

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Put the sentinel into the train step before it is compiled."""
        self._watch = self._watch_of_model()
        if not self._watch.listeners:  # under `stayfinite run`, its `--keep` decides
            self._watch.keep = self.keep
        if self._rules.may_go_on or not self._watch.listeners:
            self._watch.policy = self._rules
        at_work = running_fit.callbacks_at_work()
        sees_steps = at_work is None or batch_listeners.see_steps(at_work.callbacks)
        is_alone = not sees_steps and batch_listeners.are_alone_until(at_work.callbacks, self)
        self._watch.begin_training(sees_steps=sees_steps, is_alone=is_alone)
        # No callback is called when `fit` is left by an exception; the list of them is then
        # deleted.
        self._watch.let_go()
        self._watch.let_go = make_files_safe(at_work or self)
        callbacks = () if at_work is None else at_work.callbacks
        boards = keras.callbacks.TensorBoard
        self._watch.boards = [each for each in callbacks if isinstance(each, boards)]
        self._watch.at_bad_end = [each for each in callbacks if isinstance(each, BadEndListener)]
        self.interventions = self._watch.measures.begin()
        if self.log:
            self._watch.log_epochs()
        history = getattr(self._guarded, "history", None)
        if isinstance(history, keras.callbacks.History):
            history.interventions = self.interventions

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Let flags be read late from here on."""
        self._watch.begin_epoch(epoch)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Read every flag of the epoch, and add to its logs."""
        self._watch.end_epoch()
        if self.log and logs is not None:
            logs.update(self._watch.logs_of_epoch())

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """End the last epoch."""
        self._watch.end_training()
        self._watch.let_go()
        self._watch.boards, self._watch.at_bad_end = [], []

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Read every flag before an evaluation, also one that a callback makes within an epoch."""
        # On JAX an evaluation gives the state away that a stop would need.
        self._watch_of_model().read_flags()

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        """Warn of a non-finite validation loss, which is not an incident."""
        loss = (logs or {}).get("loss")
        if loss is not None:
            self._watch_of_model().end_evaluation(float(loss))

    def _watch_of_model(self) -> Watch:
        return REGISTRY.watch_of(self._guarded, self.keep, _script())


def _script() -> str | None:
    return getattr(sys.modules.get("__main__"), "__file__", None)
