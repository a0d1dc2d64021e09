"""`stayfinite.transformers.Guard`: the guard as a callback of Hugging Face's `Trainer`."""

from __future__ import annotations

import contextlib
import functools
import importlib
from pathlib import Path
from typing import Any

from stayfinite.guard.plain_torch import watching
from stayfinite.guard.policy import MAX_BAD_STEPS

# Not an import statement, as the library may be missing where types are checked.
TrainerCallback: Any = importlib.import_module("transformers").TrainerCallback


class TransformersGuard(TrainerCallback):
    """Guards each `train` of the `Trainer` that it is given to.

    A step with a gradient that is not finite is not applied. It is made again by
    `Trainer.training_step`, explained, and ends `train` with `stayfinite.NonFiniteError`.

    Args:
        policy: "stop" ends the training at a bad step. "skip" leaves the step out and goes on.
        keep: Folder for the incident and the last good weights.
        strict: Whether a step is bad whose loss alone is not finite.
        max_bad_steps: So many bad steps in a row end the training under every policy.

    Example:

    ```python
    trainer = Trainer(model, arguments, callbacks=[stayfinite.transformers.Guard()])
    trainer.train()
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
        self._watch = functools.partial(
            watching, policy=policy, keep=keep, strict=strict, max_bad_steps=max_bad_steps
        )
        self._watching = contextlib.ExitStack()

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Judge every step from now on."""
        self._watching.close()
        self._watching.enter_context(self._watch())

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Judge no further step."""
        self._watching.close()


Guard = TransformersGuard
