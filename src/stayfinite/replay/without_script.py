"""Build the training of an incident from the config of its model."""

from __future__ import annotations

from typing import Any

from stayfinite.errors import UsageError
from stayfinite.experiments.try_change import NotTried, attempt
from stayfinite.frameworks.keras.model_subject import KerasModel
from stayfinite.frameworks.keras.rebuilding import NotRebuildableError, model_of
from stayfinite.frameworks.keras.saved_state import named_as
from stayfinite.frameworks.subject import Subject
from stayfinite.replay.run import misfit
from stayfinite.replay.saved_step import SavedStep
from stayfinite.report.wording.obstacles import clause

_PASS_SCRIPT = "pass the training script with --script"


def rebuilt(saved: SavedStep) -> Subject:
    """Build the training of `saved` without its script.

    Raises:
        UsageError: the incident has no config, or it needs code that is not of Keras.
    """
    config = saved.record.model
    if config is None:
        raise UsageError(
            "the incident has no config of its model, because its model, loss or step is code of "
            f"your own; {_PASS_SCRIPT}"
        )
    num_values = sum(array.size for array in saved.state.values())
    data = saved.data()

    def make() -> Any:
        try:
            with named_as(saved.state):
                return model_of(config, num_values, data, saved.num_samples)
        except NotRebuildableError as error:
            return NotTried(None, f"it names {error}")
        except UsageError as error:
            return NotTried(None, str(error))

    made = attempt(make)
    if isinstance(made, NotTried):
        raise UsageError(
            "the model cannot be made of the config in the incident: "
            f"{' '.join(clause(made.message).split()):.300}; {_PASS_SCRIPT}"
        )
    subject = KerasModel(made)
    wrong = misfit(subject, saved)
    if wrong is not None:
        raise UsageError(f"config and state of the incident differ: {wrong.reason}")
    return subject
