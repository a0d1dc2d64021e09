"""The step in an incident folder, and the same step with other state or data."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stayfinite.checkpoints.loading import load
from stayfinite.errors import UsageError
from stayfinite.files.reading import is_folder
from stayfinite.frameworks.state import RANDOM
from stayfinite.incident import Incident
from stayfinite.report.reading import read
from stayfinite.report.step_record import StepRecord, batch_of_arrays, read_record

STATE, BATCH = "state.safetensors", "batch.safetensors"


@dataclass(frozen=True)
class SavedStep:
    """A failing step on disk.

    Attributes:
        incident: The incident.
        record: The structure of the batch, and the config of the model.
        state: The whole state before the step, by name.
        batch: The batch of the step, by name.
    """

    incident: Incident
    record: StepRecord
    state: dict[str, np.ndarray]
    batch: dict[str, np.ndarray]

    def data(self) -> object:
        """The batch as the train step takes it.

        Raises:
            UsageError: its structure is not known.
        """
        return batch_of_arrays(self.record.batch, self.batch)

    @property
    def num_samples(self) -> int:
        """The size of the first axis of the batch."""
        return next((len(array) for array in self.batch.values() if array.shape), 1)

    def from_other(self, path: Path) -> SavedStep:
        """This step with the state of another incident, or with the tensors of a file.

        Args:
            path: The folder of an incident, whose state is taken, or a safetensors file. Its
                tensors replace those of the same names, of the state or of the batch.

        Raises:
            UsageError: it cannot be read, or it has a tensor that the step does not have.
        """
        if is_folder(path):
            # Metrics stay: each replay resets them, and another model may have others.
            ignored = read_record(path).metrics
            arrays = {n: a for n, a in load(path / STATE).items() if n not in ignored}
        else:
            arrays = load(path)
            if arrays.keys() <= self.batch.keys():
                return dataclasses.replace(self, batch={**self.batch, **arrays})
        known = self.state.keys() | set(RANDOM)
        other = [name for name in arrays if name not in known]
        if other:
            raise UsageError(
                f"--step-from {path}: {len(other)} of its {len(arrays)} tensors are neither in the "
                f"state nor in the batch of the incident, the first is {other[0]:.200}"
            )
        return dataclasses.replace(self, state={**self.state, **arrays})


def read_step(path: Path) -> SavedStep:
    """Read the step of the incident in the folder `path`, or of its `incident.json`.

    Raises:
        UsageError: There is none, or a part of it is missing or damaged.
    """
    folder = path if is_folder(path) else path.parent
    incident = read(path)
    return SavedStep(incident, read_record(folder), load(folder / STATE), load(folder / BATCH))
