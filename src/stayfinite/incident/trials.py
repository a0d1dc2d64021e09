"""What was made of the step afterwards: its trials and its fix, how the training went on."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from stayfinite.incident.numbers import Number, parse_numbers

TrialOutcome = Literal["finite", "non-finite", "not-tried"]
StepPart = Literal["loss", "gradients", "state"]
FixKind = Literal["source", "setting", "data"]
FixValue = Literal["exact", "bounded", "changed", "undefined"]
RecurrenceKind = Literal[
    "transient",
    "intermittent",
    "compiled-only",
    "other-program",
    "persistent",
    "persistent-on-device",
    "everywhere",
    "other-process",
]


class TrialKind(StrEnum):
    """What a trial changed."""

    LEARNING_RATE = "learning-rate"
    CLIPNORM = "clipnorm"
    CLIPVALUE = "clipvalue"
    FLOAT64 = "float64"
    SAMPLES = "samples"
    BATCH = "batch"
    SOURCE = "source"
    SETTING = "setting"
    WEIGHTS = "weights"
    STATISTICS = "statistics"
    DATA = "data"
    OTHER = "other"

    @classmethod
    def _missing_(cls, value: object) -> TrialKind:
        """A kind of a later version."""
        return cls.OTHER


class Objection(StrEnum):
    """Why a source fix with which the failing step is finite is not verified."""

    CHANGES_HEALTHY_STEPS = "changes-healthy-steps"
    DOES_NOT_GO_ON = "does-not-go-on"
    FAILS_COMPILED = "fails-compiled"
    HAS_NO_ROOM = "has-no-room"
    LACKS_GRADIENT = "lacks-gradient"
    IS_BEYOND_EXACT = "is-beyond-exact"
    IS_NOT_FOLLOWED = "is-not-followed"
    NOT_TRIED = "not-tried"
    OTHER = "other"

    @classmethod
    def _missing_(cls, value: object) -> Objection:
        """An objection of a later version."""
        return cls.OTHER


@dataclass(frozen=True)
class Trial:
    """The same step with one thing different.

    `is_fix` marks the trial of the fix itself. `parameter` is the new value of what `kind` names,
    as `/ 10` for a learning rate; empty where `change` has no shorter form. `non_finite` lists the
    parts of the step that were non-finite. Files of earlier versions have no `kind`, `is_fix`,
    `parameter` or `non_finite`.
    """

    change: str
    outcome: TrialOutcome
    detail: str
    kind: TrialKind = TrialKind.OTHER
    is_fix: bool = False
    parameter: str = ""
    non_finite: tuple[StepPart, ...] = ()


@dataclass(frozen=True)
class Fix:
    """The fix; `verified` only if the failing step was run again with exactly this change.

    `value` compares the failing step with the fix, whose loss is `loss`, to exact arithmetic, in
    which its loss is `reference_loss`. All three are None where this was not computed.
    `objection` says why a source fix with which the step was finite is not verified, if that is not
    its value; empty in files of earlier versions. `objection_kind` is the same by name.
    `is_whole_iteration` is false where healthy steps were compared up to the update that failed
    only, without the other updates of their iterations.
    `loss` is the last one of `num_losses`, as of batches whose gradients are added up.
    `is_healthy_equal` is false where healthy steps have other numbers with it by roundings, so that
    a training that goes on with it is not to the last bit that of the patched file from the start.
    """

    verified: bool
    kind: FixKind
    text: str
    diff: str | None
    value: FixValue | None = None
    loss: Number | None = None
    reference_loss: Number | None = None
    objection: str = ""
    is_whole_iteration: bool = True
    num_losses: int = 1
    is_healthy_equal: bool = True
    objection_kind: Objection | None = None

    def __post_init__(self) -> None:
        parse_numbers(self, "loss", "reference_loss")


@dataclass(frozen=True)
class Kept:
    """What is on disk: last good weights, the step they belong to, the incident folder.

    `applied` is true where the program had applied the bad update before it was seen.
    """

    weights: str | None
    step: int
    incident: str
    applied: bool = False


@dataclass(frozen=True)
class Intervention:
    """How a training went on after a bad step.

    `policy` is that in force. `action` says in words what was done. The training went on from the
    state before the step `resumed_from`. `diff` is the source fix of a repair. `cause` is the name
    of the cause; all other fields are as in `Where`.
    """

    policy: str
    step: int
    epoch: int | None
    batch: int | None
    cause: str
    action: str
    resumed_from: int
    diff: str | None = None


@dataclass(frozen=True)
class DeviceRun:
    """The step on another device; `bad` is None where it could not be run."""

    device: str
    bad: bool | None


@dataclass(frozen=True)
class Recurrence:
    """Whether the step was bad again: op by op, or as compiled where it is finite op by op.

    - `transient`: finite in each of `num_reruns` runs as compiled.
    - `intermittent`: bad in some of the runs of one kind.
    - `compiled-only`: bad in each of the runs as compiled, and finite op by op.
    - `other-program`: the same, and the step that was traced again is another program: it read
      something that has changed since it was compiled.
    - `persistent`: bad in each run op by op; no other device ran it.
    - `persistent-on-device`: the same, and finite on another device.
    - `everywhere`: bad on each device that ran it.
    - `other-process`: finite in this process alone; the gradients are a mean over processes.
    """

    kind: RecurrenceKind
    num_reruns: int
    num_bad: int
    devices: tuple[DeviceRun, ...] = ()
