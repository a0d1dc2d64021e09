"""The stages of an explanation: which one is at work, and how the later ones may fail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from stayfinite.frameworks.step import CannotRemakeError
from stayfinite.report.wording import made_again
from stayfinite.report.wording.progress import ExplanationStage
from stayfinite.strict import caught

T = TypeVar("T")


@dataclass
class ExplanationProgress:
    """The stage of an explanation; another thread may read it while it changes.

    Attributes:
        stage: The present stage.
        num_runs: How often the step has been run.
    """

    stage: ExplanationStage = ExplanationStage.REPLAY
    num_runs: int = 0

    def count(self) -> None:
        """Count a run of the step."""
        self.num_runs += 1


@dataclass(frozen=True)
class Stage(Generic[T]):
    """What a stage found, or the note of an internal error that ended it."""

    value: T | None
    notes: tuple[str, ...] = ()


def optional(stage: str, run: Callable[[], T | None]) -> Stage[T]:
    """The result of a stage after the diagnosis; its failure keeps the cause."""
    try:
        return Stage(run())
    except CannotRemakeError as error:
        return Stage(None, (made_again.cannot_remake(stage, error.why),))
    except Exception as error:
        return Stage(None, (caught(stage, error),))
