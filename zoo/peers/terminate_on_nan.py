"""`keras.callbacks.TerminateOnNaN`, as the last callback of every `fit`."""

from __future__ import annotations

import inspect
import re
from typing import Any

from zoo.peers.peer import Peer
from zoo.peers.steps import Steps


def switch_on(steps: Steps) -> None:
    """Hand the callback to every `fit`. It does not reach `train_on_batch`, nor own loops."""
    import keras

    class Noticing(keras.callbacks.TerminateOnNaN):
        """Notes in which step it stopped; else as it is."""

        def on_batch_end(self, batch: int, logs: Any = None) -> None:
            super().on_batch_end(batch, logs)
            if self.model.stop_training and steps.stopped_at is None and steps.done:
                steps.stopped_at = steps.done - 1

    trainer = next(kind for kind in keras.Model.__mro__ if "fit" in vars(kind))
    fit = trainer.fit
    signature = inspect.signature(fit)

    def fit_with_callback(model: Any, *args: Any, **options: Any) -> Any:
        given = signature.bind(model, *args, **options)
        callbacks = given.arguments.get("callbacks")
        if isinstance(callbacks, keras.callbacks.CallbackList):
            callbacks.append(Noticing())
        else:
            one = [] if callbacks is None else callbacks
            one = list(one) if isinstance(one, list | tuple) else [one]
            given.arguments["callbacks"] = [*one, Noticing()]
        return fit(*given.args, **given.kwargs)

    trainer.fit = fit_with_callback


TERMINATE_ON_NAN = Peer(
    "terminate-on-nan",
    ("jax", "tensorflow", "torch"),
    switch_on,
    re.compile(r"Batch \d+: Invalid loss, terminating training"),
)
