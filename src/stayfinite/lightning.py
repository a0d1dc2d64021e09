"""`stayfinite.lightning.Guard`: the guard as a callback of Lightning's `Trainer`."""

from __future__ import annotations

import contextlib
import functools
import importlib
import sys
from pathlib import Path
from typing import Any

from stayfinite.guard.plain_torch import watching
from stayfinite.guard.policy import MAX_BAD_STEPS

# Both names of the library, the one that the program has imported first.
_LIBRARIES = ("lightning.pytorch", "pytorch_lightning")
_imported = [name for name in _LIBRARIES if name in sys.modules] or [_LIBRARIES[0]]
Callback: Any = importlib.import_module(_imported[0]).Callback


class LightningGuard(Callback):
    """Guards each `fit` of the `Trainer` that it is given to.

    A step with a gradient that is not finite is not applied. It is made again by the
    `training_step` of the module, explained, and ends `fit` with `stayfinite.NonFiniteError`.

    Args:
        policy: "stop" ends the training at a bad step. "skip" leaves the step out and goes on.
        keep: Folder for the incident and the last good weights.
        strict: Whether a step is bad whose loss alone is not finite.
        max_bad_steps: So many bad steps in a row end the training under every policy.

    Example:

    ```python
    trainer = lightning.Trainer(callbacks=[stayfinite.lightning.Guard()])
    trainer.fit(module, loader)
    ```
    """

    def __init__(
        self,
        policy: str = "stop",
        *,
        keep: str | Path = "stayfinite-out",
        strict: bool = False,
        max_bad_steps: int = MAX_BAD_STEPS,
    ) -> None:
        super().__init__()
        self._watch = functools.partial(
            watching, policy=policy, keep=keep, strict=strict, max_bad_steps=max_bad_steps
        )
        self._watching = contextlib.ExitStack()

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Judge every step from now on."""
        self._watching.close()
        self._watching.enter_context(self._watch())

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Judge no further step."""
        self._watching.close()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Judge no further step."""
        self._watching.close()


Guard = LightningGuard
