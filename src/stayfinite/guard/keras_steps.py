"""The guard of hand-written steps that apply an optimizer of Keras, in an unchanged program."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from stayfinite.frameworks.obstacles import WhyNot
from stayfinite.guard.loop import WatchedLoop
from stayfinite.guard.policy import Policy
from stayfinite.guard.registry import REGISTRY

if TYPE_CHECKING:
    from stayfinite.frameworks.tensorflow.traced_loop import TracedLoop


class _TracedSteps:
    """The steps of a program that are compiled by `tf.function`.

    Args:
        keep: Folder for the incidents of a loop that no session adopts.
    """

    def __init__(self, keep: Path) -> None:
        self._keep = keep

    def guard(self, loop: TracedLoop) -> WatchedLoop:
        """The guard of a step."""
        return WatchedLoop(loop, self._keep, Policy())

    def left_alone(self, name: str, why: WhyNot | str) -> None:
        """Say that a step is not guarded."""
        REGISTRY.left_alone(name, why)


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
        stack.callback(loops.install(_TracedSteps(keep)))
        stack.callback(eager_loops.install(EagerUpdates(keep)))
        return stack.close
    return lambda: None
