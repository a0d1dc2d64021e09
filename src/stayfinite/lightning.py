"""`stayfinite.lightning.Guard`: the guard as a callback of Lightning's `Trainer`."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from stayfinite.guard.plain_torch import TrainerGuard

# Both names of the library, the one that the program has imported first.
_LIBRARIES = ("lightning.pytorch", "pytorch_lightning")
_imported = [name for name in _LIBRARIES if name in sys.modules] or [_LIBRARIES[0]]
Callback: Any = importlib.import_module(_imported[0]).Callback


class LightningGuard(TrainerGuard, Callback):
    """Guards each `fit` of the `Trainer` that it is given to.

    A step with a gradient that is not finite is not applied. It is made again by the
    `training_step` of the module, explained, and ends `fit` with `stayfinite.NonFiniteError`.

    The arguments are those of `stayfinite.watching`.

    Example:

    ```python
    trainer = lightning.Trainer(callbacks=[stayfinite.lightning.Guard()])
    trainer.fit(module, loader)
    ```
    """

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Judge every step from now on."""
        self._begin()

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Judge no further step."""
        self._end()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Judge no further step."""
        self._end()


Guard = LightningGuard
