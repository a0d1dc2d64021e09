"""The sentinel: one flag inside the compiled step, and a state that freezes when it falls.

Keras compiles `model.train_step`. Here it compiles `guarded_step` instead, whose state has one
more entry, the sentinel. Loss, gradients and new state are reduced to one boolean on the device;
`lax.cond` keeps the old state when it is false, and the boolean is latched, so no later update is
applied either, whenever the host finds out.

`lax.cond` rather than `jnp.where`: XLA fuses a `where` into the update, which changed the weights
of a healthy training by 5e-7; with `cond` they are bit-equal (tests/guard/test_bit_equality.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from stayfinite.backends.jax import gradients, private

Sentinel = dict[str, Any]


def new_sentinel() -> Sentinel:
    """A sentinel that has seen no step. `first_bad` is -1 until a step is bad."""
    return {
        "ok": jnp.asarray(True),
        "steps": jnp.asarray(0, "int32"),
        "first_bad": jnp.asarray(-1, "int32"),
    }


def all_finite(tree: Any) -> Any:
    """One boolean scalar: is every floating-point element in `tree` finite?"""
    verdicts = [
        jnp.all(jnp.isfinite(leaf))
        for leaf in jax.tree.leaves(tree)
        if jnp.issubdtype(jnp.result_type(leaf), jnp.inexact)
    ]
    return jnp.all(jnp.stack(verdicts)) if verdicts else jnp.asarray(True)


def guarded(train_step: Callable[..., Any]) -> Callable[..., Any]:
    """`train_step` with the sentinel as a fifth entry of its state.

    Returns `((logs, report), state)`; `report` is the step number of the first bad step or -1,
    as an array of its own, because the sentinel in the state is donated to the next step.
    """

    def guarded_step(state: Any, data: Any) -> Any:
        old, sentinel = tuple(state[:4]), state[4]
        grads: list[Any] = []
        with gradients.watched(lambda _, values, __: grads.extend(values)):
            logs, new = train_step(old, data)
        *lasting, metrics = new
        finite = all_finite((logs.get("loss") if isinstance(logs, dict) else None, grads))
        finite &= all_finite(lasting)
        ok = sentinel["ok"] & finite
        first_bad = jnp.where(sentinel["ok"] & ~finite, sentinel["steps"], sentinel["first_bad"])
        # Metrics are not frozen: a progress bar that showed the bad loss is not to be corrected.
        kept = (*_choose(ok, lasting, list(old[:3])), metrics)
        after = {"ok": ok, "steps": sentinel["steps"] + 1, "first_bad": first_bad}
        return (logs, first_bad + 0), (*kept, after)

    return guarded_step


def _choose(ok: Any, new: Any, old: Any) -> Any:
    if not private.is_tracing((ok, new, old)):
        return new if bool(ok) else old
    # A train step may return lists where it took tuples, or weakly typed scalars: `cond` wants
    # both sides alike.
    treedef = jax.tree.structure(new)
    like = jax.tree.leaves(old)
    leaves = [
        jnp.asarray(n, o.dtype) if n.dtype != o.dtype else n
        for n, o in zip(jax.tree.leaves(new), like, strict=True)
    ]
    chosen = jax.lax.cond(ok, lambda n, _: n, lambda _, o: o, leaves, like)
    return jax.tree.unflatten(treedef, chosen)
