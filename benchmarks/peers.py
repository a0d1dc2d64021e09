"""What stands beside the guard in the table: the checks that users of each backend have.

Each is a `Variant`: a network that is trained with something added. Switches of a whole process
are on during their own blocks only, and are turned outside of the timed part.
"""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import keras

import stayfinite

BARE = "bare"
GUARDED = "stayfinite.Guard"


@dataclass(frozen=True)
class Variant:
    """One way to train. `own_network`: it changes what is compiled, so it shares no network."""

    name: str
    callbacks: Callable[[], list[Any]] = list
    switched_on: Callable[[], AbstractContextManager[Any]] = nullcontext
    own_network: bool = True


def variants(backend: str, keep: str, with_peers: bool) -> list[Variant]:
    """Bare first, then the guard, then what else there is on this backend."""
    guarded = Variant(GUARDED, lambda: [stayfinite.Guard(keep=keep)])
    found = [Variant(BARE), guarded]
    if with_peers:
        found.append(
            Variant("TerminateOnNaN", lambda: [keras.callbacks.TerminateOnNaN()], own_network=False)
        )
        found += _SWITCHES[backend]
    return found


def not_measured(backend: str) -> dict[str, str]:
    """Peers of this backend that no number is given for, and why."""
    if backend != "torch":
        return {}
    if importlib.util.find_spec("traincheck") is None:
        return {"traincheck": "not installed"}
    return {
        "traincheck": "checks invariants that it first infers from instrumented runs of a script "
        "for torch.nn; it has no switch for a Keras training"
    }


@contextlib.contextmanager
def _detect_anomaly():
    import torch

    torch.autograd.set_detect_anomaly(True)
    try:
        yield
    finally:
        torch.autograd.set_detect_anomaly(False)


@contextlib.contextmanager
def _check_numerics():
    import tensorflow

    tensorflow.debugging.enable_check_numerics()
    try:
        yield
    finally:
        tensorflow.debugging.disable_check_numerics()


@contextlib.contextmanager
def _debug_nans():
    import jax

    jax.config.update("jax_debug_nans", True)
    try:
        yield
    finally:
        jax.config.update("jax_debug_nans", False)


_SWITCHES = {
    "jax": [Variant("jax_debug_nans", switched_on=_debug_nans)],
    "tensorflow": [Variant("tf.debugging.enable_check_numerics", switched_on=_check_numerics)],
    "torch": [
        Variant("torch.autograd.set_detect_anomaly", switched_on=_detect_anomaly, own_network=False)
    ],
}
