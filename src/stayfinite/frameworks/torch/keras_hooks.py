"""The hooks in Keras by which a train step is observed, see `hooks.py`."""

from __future__ import annotations

from typing import Any

import keras

from stayfinite.frameworks.keras import private as keras_private
from stayfinite.frameworks.torch import hooks
from stayfinite.frameworks.torch.hooks import Observer, hook, observer_here

_installed = False


def observe(observer: Observer) -> None:
    """Until `hooks.unobserve`, call `observer` for the steps of this thread."""
    _install()
    hooks.observe(observer)


def _install() -> None:
    global _installed
    if _installed:
        return
    _installed = True
    hook(keras_private.owner_of(keras.Variable, "assign"), "assign", _assign)
    hook(keras_private.BaseOptimizer, "apply", _apply)
    hook(keras_private.BaseOptimizer, "scale_loss", _scale_loss)
    hook(keras_private.LossScaleOptimizer, "apply", _scaled_apply)
    hook(keras_private.LossScaleOptimizer, "scale_loss", _scale_loss)


def _assign(plain: Any) -> Any:
    def assign(self: Any, value: Any) -> Any:
        observer = observer_here()
        if observer is not None:
            observer.assigning(self)
        return plain(self, value)

    return assign


def _apply(plain: Any) -> Any:
    def apply(self: Any, grads: Any, trainable_variables: Any = None) -> Any:
        observer = observer_here()
        if observer is None:
            return plain(self, grads, trainable_variables)
        return observer.update(
            self, grads, trainable_variables, lambda: plain(self, grads, trainable_variables)
        )

    return apply


def _scaled_apply(plain: Any) -> Any:
    def apply(self: Any, grads: Any, trainable_variables: Any = None) -> Any:
        observer = observer_here()
        if observer is None:
            return plain(self, grads, trainable_variables)
        return observer.scaled_update(
            self, grads, trainable_variables, lambda: plain(self, grads, trainable_variables)
        )

    return apply


def _scale_loss(plain: Any) -> Any:
    def scale_loss(self: Any, loss: Any) -> Any:
        result = plain(self, loss)
        observer = observer_here()
        if observer is not None:
            observer.scaled(loss, result)
        return result

    return scale_loss
