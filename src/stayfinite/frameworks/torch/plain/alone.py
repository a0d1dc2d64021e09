"""Effects that are suppressed while a step is made again: prints, logs and compilations."""

from __future__ import annotations

import contextlib
import io
import logging
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import torch

# Functions of loggers that a loop calls, by the module that has their owner, if it is imported.
_LOGGERS = (
    ("tqdm.std", "tqdm", ("update", "refresh", "set_postfix", "set_description", "close")),
    ("torch.utils.tensorboard.writer", "SummaryWriter", ("add_scalar", "add_scalars", "flush")),
    ("tensorboardX", "SummaryWriter", ("add_scalar", "add_scalars", "flush")),
    ("wandb", None, ("log",)),
    ("mlflow", None, ("log_metric", "log_metrics")),
    ("torch", None, ("save",)),
)


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Inside the block nothing is printed, logged or compiled."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
        stack.enter_context(contextlib.redirect_stderr(io.StringIO()))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        stack.callback(logging.disable, logging.root.manager.disable)
        logging.disable()
        for owner, name in _silenced():
            stack.enter_context(_silent(owner, name))
        if "torch._dynamo" in sys.modules:
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        yield


def _silenced() -> Iterator[tuple[Any, str]]:
    for module_name, owner_name, names in _LOGGERS:
        module = sys.modules.get(module_name)
        owner = getattr(module, owner_name, None) if owner_name is not None else module
        for name in names:
            if owner is not None and hasattr(owner, name):
                yield owner, name


@contextlib.contextmanager
def _silent(owner: Any, name: str) -> Iterator[None]:
    held = vars(owner).get(name)
    setattr(owner, name, lambda *args, **kwargs: None)
    try:
        yield
    finally:
        if held is None:
            delattr(owner, name)
        else:
            setattr(owner, name, held)
