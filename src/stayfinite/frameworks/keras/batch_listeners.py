"""Callbacks that are called for single steps of a `fit`, and may look at what they are given."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

import keras

_HOOKS = ("on_batch_begin", "on_batch_end", "on_train_batch_begin", "on_train_batch_end")


class ReadsNoLogs:
    """A callback whose hooks do not look at the logs of a step."""


def see_steps(callbacks: Iterable[Any]) -> bool:
    """Whether one of the callbacks of a `fit` may look at the logs of single steps.

    One that looks at the model itself does so by its property `model`, which says so to the guard.
    """
    return any(_has_hook(callback) and not _is_idle(callback) for callback in callbacks)


def are_alone_until(callbacks: Iterable[Any], last: Any) -> bool:
    """Whether those before `last` in the callbacks of a `fit` run no code of the user."""
    before = itertools.takewhile(lambda callback: callback is not last, callbacks)
    return all(_is_of_keras(callback) for callback in before)


def _is_of_keras(callback: Any) -> bool:
    kind = type(callback)
    return kind.__module__.startswith("keras.") and kind is not keras.callbacks.LambdaCallback


def _has_hook(callback: Any) -> bool:
    # `LambdaCallback` has functions as attributes.
    found = [getattr(getattr(callback, name), "__func__", None) for name in _HOOKS]
    return found != [getattr(keras.callbacks.Callback, name) for name in _HOOKS]


def _is_idle(callback: Any) -> bool:
    """Whether the hooks of a callback look at nothing, with its present settings."""
    if type(callback) in (keras.callbacks.ModelCheckpoint, keras.callbacks.BackupAndRestore):
        return bool(callback.save_freq == "epoch")
    if type(callback) is keras.callbacks.ProgbarLogger:
        return bool(callback.verbose != 1)
    return isinstance(callback, ReadsNoLogs)
