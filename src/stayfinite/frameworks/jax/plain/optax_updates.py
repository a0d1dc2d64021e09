"""Updates by an optimizer of optax outside of `jax.jit`.

`optimizer.update` is judged where it is called: gradients, updates and new slots. A bad one gives
updates of 0 and the slots as they were, and is reported where it is applied to weights.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from stayfinite.frameworks.jax.plain.joined_step import JoinedStep, putting, ways
from stayfinite.frameworks.jax.plain.operator_updates import OperatorUpdates
from stayfinite.frameworks.jax.plain.pure_calls import TAPE, PureCall
from stayfinite.frameworks.jax.plain.update_arrays import (
    are_alike,
    is_good,
    leaves_out,
    share_arrays,
    weights_like,
)
from stayfinite.frameworks.jax.plain.update_listener import GoodUpdate, JaxUpdateListener

Function = Callable[..., Any]


class OptaxUpdates:
    """Judges them.

    Args:
        listener: Told of each update.
        operators: Judges updates by operators; told which functions it may forget.
    """

    def __init__(self, listener: JaxUpdateListener, operators: OperatorUpdates) -> None:
        self._listener = listener
        self._operators = operators

    def method_updating(self, plain: Function) -> Function:
        """`plain`, the method `update` of a class, judged."""

        def update(owner: Any, *args: Any, **keywords: Any) -> Any:
            return self.updating(functools.partial(plain, owner), args, keywords)

        return update

    def updating(self, plain: Function, args: Any, extra: Mapping[str, Any]) -> Any:
        """Call `plain`, the update of an optimizer of optax, and judge it."""
        if TAPE.is_ignored or TAPE.is_empty:
            return plain(*args, **extra)
        if TAPE.pending is not None:
            TAPE.pending = None
            self._listener.left_out()
        out = TAPE.made(plain, args, extra)
        call = PureCall(plain, args, extra, out)
        TAPE.note(call)
        state, params = args[1], args[2] if len(args) > 2 else None
        for gradients in TAPE.gradients():
            self._operators.forget(gradients.function)
        if is_good(args[0], state, out):
            calls = TAPE.leading_to(out)
            TAPE.end_step(calls)
            before = {"params": weights_like(args[0], calls, params), "opt_state": state}
            step = JoinedStep(calls, before, putting({}))
            # An optimizer that leaves out bad updates by itself may have left out this one.
            loss = None if leaves_out(state) else step.loss
            self._listener.made(GoodUpdate(before, step.batch, loss))
            return out
        # The program goes on to where it applies the update, if it does.
        nothing = jax.tree.map(jnp.zeros_like, out[0])
        TAPE.replace(call, (nothing, out[1]))
        TAPE.pending = call
        return nothing, state

    def applying(self, plain: Function) -> Function:
        """`plain`, which is `apply_updates`, with the report of a bad update."""

        def apply(weights: Any, updates: Any) -> Any:
            pending = TAPE.pending
            if TAPE.is_ignored or pending is None or not share_arrays(pending.instead, updates):
                return plain(weights, updates)
            out = TAPE.made(plain, (weights, updates), {})
            TAPE.note(PureCall(plain, (weights, updates), {}, out))
            self._report(pending, weights, out)
            return out

        return apply

    def mapped(self, trees: tuple[Any, ...], out: Any) -> None:
        """`out` was made by `jax.tree.map` of `trees`: a bad update may be applied by it."""
        pending = TAPE.pending
        if pending is not None and share_arrays(pending.instead, trees):
            weights = [tree for tree in trees if not TAPE.comes_from(tree)]
            if weights and are_alike(weights[0], out):
                self._report(pending, weights[0], out)

    def _report(self, pending: PureCall, weights: Any, after: Any) -> None:
        """The bad update `pending` is applied to `weights`."""
        TAPE.pending = None
        state = {"params": weights, "opt_state": pending.args[1]}
        new_state = putting({"params": after, "opt_state": pending.out[1]})
        calls = TAPE.leading_to((after, pending.out))
        gradients = TAPE.gradients()
        TAPE.end_step(calls)
        self._listener.bad(ways(JoinedStep(calls, state, new_state), gradients, calls))


class JudgedUpdate:
    """The method `update` of an optimizer of optax, with the same attributes.

    Args:
        plain: The method.
        updates: Judges it.
    """

    def __init__(self, plain: Function, updates: OptaxUpdates) -> None:
        functools.update_wrapper(self, plain)
        self._plain = plain
        self._updates = updates

    def compiled_as(self, compiled: Function) -> JudgedUpdate:
        """The same for what `jax.jit` returned for it."""
        return JudgedUpdate(compiled, self._updates)

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        """Compute an update: `(updates, state)`."""
        names = [name for name in ("updates", "state", "params")[len(args) :] if name in keywords]
        args = (*args, *(keywords.pop(name) for name in names))
        return self._updates.updating(self._plain, args, keywords)
