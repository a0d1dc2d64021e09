"""Effects that are suppressed while a step is made again: prints, logs, files."""

from __future__ import annotations

import contextlib
import fnmatch
import io
import logging
import sys
import warnings
from collections.abc import Iterator
from typing import Any

from stayfinite.frameworks.attributes import nothing, replaced
from stayfinite.frameworks.contained_files import elsewhere

# Functions of loggers that a loop calls, by the module that has their owner, if it is imported.
# `add_*` stands for all with that beginning.
_LOGGERS = (
    ("tqdm.std", "tqdm", ("update", "refresh", "set_postfix", "set_description", "close")),
    ("torch.utils.tensorboard.writer", "SummaryWriter", ("add_*", "flush", "close")),
    ("tensorboardX", "SummaryWriter", ("add_*", "flush", "close")),
    ("wandb", None, ("log*", "save", "alert", "finish")),
    ("wandb.sdk.wandb_run", "Run", ("log*", "save", "alert", "finish")),
    ("mlflow", None, ("log_*", "set_tag*")),
    ("mlflow.tracking.client", "MlflowClient", ("log_*", "set_tag")),
    ("accelerate.accelerator", "Accelerator", ("log", "log_*", "save*")),
    # It writes by C++.
    ("tensorflow", None, ("print",)),
    ("tensorflow", "summary", ("scalar", "histogram", "image", "text", "write", "flush")),
    # They write by C++ and Rust, without `open`.
    ("keras", "Model", ("save", "save_weights", "export")),
    ("tensorflow", "train.Checkpoint", ("save", "write")),
    ("tensorflow", "train.CheckpointManager", ("save",)),
    ("torch", None, ("save",)),
    ("safetensors.torch", None, ("save_file", "save_model")),
)


@contextlib.contextmanager
def suppressed() -> Iterator[None]:
    """Inside the block nothing is printed, logged or written."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
        stack.enter_context(contextlib.redirect_stderr(io.StringIO()))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        stack.callback(logging.disable, logging.root.manager.disable)
        logging.disable()
        stack.enter_context(elsewhere())
        for owner, name in _silenced():
            stack.enter_context(replaced(owner, name, nothing))
        yield


def _silenced() -> Iterator[tuple[Any, str]]:
    for module_name, owner_name, names in _LOGGERS:
        owner: Any = sys.modules.get(module_name)
        for part in owner_name.split(".") if owner_name is not None else ():
            owner = getattr(owner, part, None)
        if owner is not None:
            for pattern in names:
                for name in fnmatch.filter(dir(owner), pattern) if "*" in pattern else [pattern]:
                    if callable(getattr(owner, name, None)):
                        yield owner, name
