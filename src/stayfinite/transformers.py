"""`stayfinite.transformers.Guard`: the guard as a callback of Hugging Face's `Trainer`."""

from __future__ import annotations

import importlib
from typing import Any

from stayfinite.guard.plain_torch import TrainerGuard

# Not an import statement, as the library may be missing where types are checked.
TrainerCallback: Any = importlib.import_module("transformers").TrainerCallback


class TransformersGuard(TrainerGuard, TrainerCallback):
    """Guards each `train` of the `Trainer` that it is given to.

    A step with a gradient that is not finite is not applied. It is made again by
    `Trainer.training_step`, explained, and ends `train` with `stayfinite.NonFiniteError`.

    The arguments are those of `stayfinite.watching`.

    Example:

    ```python
    trainer = Trainer(model, arguments, callbacks=[stayfinite.transformers.Guard()])
    trainer.train()
    ```
    """

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Judge every step from now on."""
        self._begin()

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Judge no further step."""
        self._end()


Guard = TransformersGuard
