"""Observes what any train step differentiates, assigns and passes to an optimizer.

Here are the hooks in PyTorch; those in Keras are in `keras_hooks.py`.

The hooks are installed once and have no effect unless a step is observed. Re-installing them in
each step would invalidate CPython's attribute caches and slow the step.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any, Protocol

import torch


class Observer(Protocol):
    """Called for each action of the step on its thread."""

    def differentiating(self, root: Any) -> None:
        """A backward pass begins at `root`: tensors, in Keras's train step the loss."""
        ...

    def scaled(self, loss: Any, result: Any) -> None:
        """An optimizer scaled `loss` to `result`."""
        ...

    def assigning(self, variable: Any) -> None:
        """A Keras variable is about to get another value."""
        ...

    def update(self, optimizer: Any, gradients: Any, variables: Any, run: Callable[[], Any]) -> Any:
        """An optimizer is about to be applied; `run()` applies it."""
        ...

    def scaled_update(
        self, optimizer: Any, gradients: Any, variables: Any, run: Callable[[], Any]
    ) -> Any:
        """A `LossScaleOptimizer` is about to look at its gradients; `run()` lets it."""
        ...


# By thread. Read as a whole first, so that code under `torch.compile` sees one empty dictionary.
_OBSERVERS: dict[int, Observer] = {}
_installed = False


def observe(observer: Observer) -> None:
    """Until `unobserve`, call `observer` for the steps of this thread."""
    _install()
    _OBSERVERS[threading.get_ident()] = observer


def unobserve() -> None:
    """Stop calling the observer of this thread."""
    _OBSERVERS.pop(threading.get_ident(), None)


def observer_here() -> Observer | None:
    """The observer of this thread; None if its step is not observed."""
    return _OBSERVERS.get(threading.get_ident()) if _OBSERVERS else None


def _install() -> None:
    global _installed
    if _installed:
        return
    _installed = True
    hook(torch.autograd, "backward", _backward)
    hook(torch.autograd, "grad", _grad)


def hook(owner: Any, name: str, make: Callable[[Any], Any]) -> None:
    """Replace the function `name` of `owner` by what `make` makes of it."""
    plain = getattr(owner, name)
    setattr(owner, name, functools.wraps(plain)(make(plain)))


def _backward(plain: Any) -> Any:
    def backward(tensors: Any, *args: Any, **kwargs: Any) -> Any:
        observer = observer_here()
        if observer is not None:
            observer.differentiating(tensors)
        return plain(tensors, *args, **kwargs)

    return backward


def _grad(plain: Any) -> Any:
    def grad(outputs: Any, *args: Any, **kwargs: Any) -> Any:
        observer = observer_here()
        # With `create_graph` it is a part of a loss, as in a gradient penalty, not a step's end.
        if observer is not None and not kwargs.get("create_graph", len(args) > 3 and args[3]):
            observer.differentiating(outputs)
        return plain(outputs, *args, **kwargs)

    return grad
