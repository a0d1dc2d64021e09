"""The guard of hand-written steps that apply an optimizer of Keras, in an unchanged program."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from stayfinite.guard.loop import WatchedLoop
from stayfinite.guard.policy import Policy


def guard_steps(backend: str, keep: Path) -> Callable[[], None]:
    """Guard the steps of every hand-written loop from now on; returns what ends that.

    Args:
        backend: The backend of Keras.
        keep: Folder for the incidents of a loop that no session adopts.
    """
    if backend == "torch":
        # Imported here because it needs PyTorch.
        from stayfinite.frameworks.torch import keras_loops

        keras_loops.install()
    if backend == "tensorflow":
        # Imported here because it needs TensorFlow.
        from stayfinite.frameworks.tensorflow import eager_loops, loops
        from stayfinite.guard.eager_updates import EagerUpdates

        stack = contextlib.ExitStack()
        stack.callback(loops.install(lambda loop: WatchedLoop(loop, keep, Policy())))
        stack.callback(eager_loops.install(EagerUpdates(keep)))
        return stack.close
    return lambda: None
