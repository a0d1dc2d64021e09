"""`stayfinite.guarded`: the guard for a training loop without `fit`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from stayfinite.errors import UsageError
from stayfinite.frameworks.hand_written import NOT_MADE
from stayfinite.frameworks.loss_log import LoggedLoss
from stayfinite.frameworks.step_turns import TURNS
from stayfinite.frameworks.subject import Subject
from stayfinite.guard.policy import MAX_BAD_STEPS, Policy
from stayfinite.guard.registry import REGISTRY
from stayfinite.guard.unread import UNREAD, UnreadFlags
from stayfinite.incident import Intervention
from stayfinite.report.wording import notices


class Loop(Subject, Protocol):
    """A training by a step of the user's own.

    Attributes:
        quick: Makes the step of a call in the shortest way, and returns what the call returns, or
            `NOT_MADE`; None where there is no such way.
    """

    quick: Callable[[tuple[Any, ...], Mapping[str, Any]], Any] | None

    def call(self, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> Any:
        """Make one guarded step with the arguments of the user's call; returns its result."""
        ...

    def bad_loss(self) -> LoggedLoss | None:
        """The loss of a step that was good except for it, each once; None where there is none."""
        ...


class Guarding(Protocol):
    """Makes the steps of one guarded function."""

    @property
    def interventions(self) -> list[Intervention]:
        """How the training went on after each bad step."""
        ...

    def call(self, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> Any:
        """Make one guarded step with the arguments of the user's call; returns its result."""
        ...

    def check(self) -> None:
        """Wait for every step made so far."""
        ...


# Called with the arguments of the first step.
MakeGuarding = Callable[[tuple[Any, ...], Mapping[str, Any]], Guarding]


def guarded(
    step: Callable[..., Any],
    model: Any = None,
    optimizer: Any = None,
    *,
    state: Sequence[str] | None = None,
    policy: str = "stop",
    keep: str | Path = "stayfinite-out",
    max_bad_steps: int = MAX_BAD_STEPS,
) -> GuardedStep:
    """`step` under guard: the same call, and a non-finite step is never applied.

    For a loop without `fit`. The step has to be a function, because the step that fails is run
    again to explain it:

    - A step of JAX without Keras (optax, flax, equinox): a function of a state and a batch that
      returns the new state, as `step(params, opt_state, batch)` returning `(params, opt_state,
      loss)`, or one that changes modules of `flax.nnx`. `guarded(step)` is enough. It is compiled
      here; a `jax.jit`, `nnx.jit` or `eqx.filter_jit` around it is taken off, and arguments are not
      donated. An argument is part of the state if its tree, shapes and dtypes come back among the
      results.
    - A step of PyTorch without Keras: a function that computes the loss, calls `loss.backward()`
      and applies an optimizer of `torch.optim`. `guarded(step)` is enough. Its policies are "stop"
      and "skip".
    - A Keras model on TensorFlow and PyTorch: `step(x, y)` computes the loss and its gradients and
      calls `optimizer.apply`; whatever it returns is returned. A `tf.function` stays compiled.
    - A Keras model on JAX: `step(state, x, y)` returns `(loss, state)`, where `state` is
      `(trainable, non_trainable, optimizer_variables)` of the model and the optimizer. It is
      compiled here, also where it is not yet. The first result may be a tuple or dict that begins
      with the loss or has it under "loss".

    Args:
        step: One training step.
        model: The Keras model whose weights it trains; None for a step without Keras.
        optimizer: The Keras optimizer that it uses, or a list of them; None without Keras.
        state: Names of the arguments of a JAX step that are the state, where the shapes of its
            results do not show it.
        policy: What to do at a bad step, as in `Guard`. A step that is left out returns what it
            computed; on JAX with the state before it.
        keep: Folder for the incident and the last good weights.
        max_bad_steps: So many bad steps in a row end the training under every policy.

    Returns:
        The guarded step. It raises `NonFiniteError`, at a bad step or, on a device that works
        ahead of the program, some calls later: on JAX without Keras at most two; where steps take
        less than about 2 ms at most 32, or four if the loop reads their results. `check()` reads
        the flags that are not read yet, and belongs after the loop: without it a bad last step is
        reported when the program ends. The state is that of the last good step in any case.

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
    rules, folder = Policy(policy, max_bad_steps), Path(keep)
    if model is None and optimizer is None:
        return GuardedStep(
            lambda args, keywords: _without_model(step, state, (args, keywords), folder, rules)
        )
    # Imported here, because a step without Keras does not need it.
    from stayfinite.frameworks.keras.loop_subject import keras_loop
    from stayfinite.saving.guarded import make_files_safe

    loop = WatchedLoop(keras_loop(step, model, optimizer), folder, rules)
    guarded_step = GuardedStep(lambda args, keywords: loop)
    loop.watch.let_go = make_files_safe(guarded_step)
    return guarded_step


def _without_model(
    step: Callable[..., Any],
    state: Sequence[str] | None,
    given: tuple[tuple[Any, ...], Mapping[str, Any]],
    keep: Path,
    policy: Policy,
) -> Guarding:
    has_jax, has_torch = "jax" in sys.modules, "torch" in sys.modules
    if has_torch and state is None:
        from stayfinite.guard.plain_torch import GuardedCalls, has_tensors

        if not has_jax or has_tensors(given):
            return GuardedCalls(step, keep, policy)
    if not has_jax:
        raise UsageError(
            "guarded(step) without a model is for steps of JAX and PyTorch, neither of which this "
            "program has imported; pass guarded(step, model, optimizer) for a Keras model"
        )
    from stayfinite.frameworks.jax.plain.subject import PlainJax

    return WatchedLoop(PlainJax(step, state), keep, policy)


class WatchedLoop:
    """A loop with a watch of its own."""

    def __init__(self, loop: Loop, keep: Path, policy: Policy) -> None:
        script = getattr(sys.modules.get("__main__"), "__file__", None)
        self._loop = loop
        self.watch = REGISTRY.new_watch(loop, keep, script)
        self._count = self.watch.recorder.count
        if policy.may_go_on or not self.watch.listeners:
            self.watch.policy = policy
        self.watch.arm()
        self.watch.hold_function()
        UNREAD.follow(self)

    # A default, because Python sets the names of a module to None when the program ends.
    def __del__(self, unread: UnreadFlags = UNREAD) -> None:
        # Not a finalizer of `weakref`, which would keep the watch, and by it this loop.
        if getattr(self, "watch", None) is not None:
            unread.gone(self)

    @property
    def interventions(self) -> list[Intervention]:
        """How the training went on after each bad step."""
        return list(self.watch.measures.made)

    def call(self, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> Any:
        """Make one guarded step."""
        count, quick = self._count, self._loop.quick
        if TURNS.present is not count:
            TURNS.begin(count)
        if quick is not None:
            made = quick(args, keywords)
            if made is not NOT_MADE:
                return made
        # A flag may be read late, as inside an epoch of `fit`.
        self.watch.let_flags_wait()
        result = self._loop.call(args, keywords)
        self._report_loss()
        return result

    def check(self) -> None:
        """Wait for every step made so far."""
        self.watch.end_epoch()
        self._report_loss()

    def _report_loss(self) -> None:
        bad = self._loop.bad_loss()
        if bad is None:
            return
        self.watch.say(notices.bad_loss(bad.step, bad.loss))


class GuardedStep:
    """A train step of the user's own under guard; made by `guarded`."""

    def __init__(self, make: MakeGuarding) -> None:
        self._make = make
        self._guarding: Guarding | None = None

    @property
    def interventions(self) -> list[Intervention]:
        """How the training went on after each bad step."""
        return [] if self._guarding is None else self._guarding.interventions

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        """Make one step; arguments and result are those of the function that is guarded."""
        if self._guarding is None:
            self._guarding = self._make(args, keywords)
        return self._guarding.call(args, keywords)

    def check(self) -> None:
        """Wait for every step made so far; raises `NonFiniteError` if one was bad."""
        if self._guarding is not None:
            self._guarding.check()
