"""`stayfinite.guarded`: the guard for a training loop without `fit`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from stayfinite.errors import UsageError
from stayfinite.frameworks import base
from stayfinite.frameworks.keras.loop_subject import KerasLoop, KerasStatelessLoop
from stayfinite.guard.policy import MAX_BAD_STEPS, Policy
from stayfinite.guard.registry import REGISTRY
from stayfinite.incident import Intervention
from stayfinite.saving.guarded import make_files_safe


def guarded(
    step: Callable[..., Any],
    model: Any,
    optimizer: Any,
    *,
    policy: str = "stop",
    keep: str | Path = "stayfinite-out",
    max_bad_steps: int = MAX_BAD_STEPS,
) -> GuardedStep:
    """`step` under guard: the same call, and a non-finite step is never applied.

    For a loop as the guides of Keras write it. The step has to be a function, because the step
    that fails is run again to explain it:

    - TensorFlow and PyTorch: `step(x, y)` computes the loss and its gradients and calls
      `optimizer.apply`; whatever it returns is returned. A `tf.function` stays compiled.
    - JAX: `step(state, x, y)` returns `(loss, state)`, where `state` is `(trainable,
      non_trainable, optimizer_variables)` of the model and the optimizer. It is compiled here,
      also where it is not yet. The first result may be a tuple or dict that begins with the loss
      or has it under "loss".

    Args:
        step: One training step.
        model: The Keras model whose weights it trains.
        optimizer: The optimizer that it uses, or a list of them.
        policy: What to do at a bad step, as in `Guard`. A step that is left out returns what it
            computed; on JAX with the state before it.
        keep: Folder for the incident and the last good weights.
        max_bad_steps: So many bad steps in a row end the training under every policy.

    Returns:
        The guarded step. It raises `NonFiniteError`, at a bad step or, on a device that works
        ahead of the program, some calls later; `check()` reads what is still out, and belongs
        after the loop. The state is that of the last good step in any case.

    Raises:
        UsageError: the optimizer is not one of Keras, or the policy is not known.

    Example:

    ```python
    step = stayfinite.guarded(train_step, model, optimizer)
    for x, y in dataset:
        loss = step(x, y)
    step.check()
    ```
    """
    rules = Policy(policy, max_bad_steps)
    optimizers = list(optimizer) if isinstance(optimizer, list | tuple) else [optimizer]
    for each in optimizers:
        if not isinstance(each, keras.optimizers.Optimizer):
            raise UsageError(
                f"optimizer={each!r:.60} is not a keras.optimizers.Optimizer; pass the optimizer "
                "that the step uses, or a list of them"
            )
        if not each.built:
            each.build(model.trainable_variables)
    kind = KerasStatelessLoop if base.current().is_stateless else KerasLoop
    return GuardedStep(kind(step, model, optimizers), Path(keep), rules)


class GuardedStep:
    """A train step of the user's own under guard; made by `guarded`."""

    def __init__(self, loop: KerasLoop, keep: Path, policy: Policy) -> None:
        script = getattr(sys.modules.get("__main__"), "__file__", None)
        self._loop = loop
        self._watch = REGISTRY.new_watch(loop, keep, script)
        if policy.may_go_on or not self._watch.listeners:
            self._watch.measures.policy = policy
        self._watch.arm()
        self._watch.let_go = make_files_safe(self)

    @property
    def interventions(self) -> list[Intervention]:
        """How the training went on after each bad step."""
        return list(self._watch.measures.made)

    def __call__(self, *args: Any) -> Any:
        """Make one step; arguments and result are those of the function that is guarded."""
        # A flag may be read late, as inside an epoch of `fit`.
        self._watch.let_flags_wait()
        return self._loop.call(args)

    def check(self) -> None:
        """Wait for every step made so far; raises `NonFiniteError` if one was bad."""
        self._watch.end_epoch()
