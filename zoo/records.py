"""What one training step of a script computed, in the form in which `zoo.values` reads it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from zoo.gradients import Array


@dataclass
class Record:
    """One step of one model: its logs by name, its gradients by optimizer and variable, and the
    weights, trainable or not, in the order of `model.weights`.
    """

    before: list[Array]
    trainable: list[bool]
    logs: dict[str, Array] = field(default_factory=dict)
    gradients: dict[str, Array] = field(default_factory=dict)
    after: list[Array] = field(default_factory=list)

    def arrays(self, prefix: str) -> dict[str, Array]:
        """All entries by the names that they have in the file."""
        return (
            {f"{prefix}/logs/{name}": value for name, value in self.logs.items()}
            | {f"{prefix}/gradients/{name}": value for name, value in self.gradients.items()}
            | {f"{prefix}/before/{i}": value for i, value in enumerate(self.before)}
            | {f"{prefix}/after/{i}": value for i, value in enumerate(self.after)}
            | {f"{prefix}/trainable": np.array(self.trainable, dtype=bool)}
        )
