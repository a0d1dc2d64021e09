"""One non-finite training step as plain data: the content of every report and of the folder on
disk.

The fields are those of the public contract (`stayfinite.incident/1`). Nothing here computes:
`report/assemble.py` fills the fields in, the rest of `report` formats them.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

SCHEMA = "stayfinite.incident/1"

Phase = Literal["load", "data", "forward", "backward", "update", "statistics"]
Certainty = Literal["confirmed", "likely", "unknown"]
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

# JSON has no literal for a non-finite number: it is written as one of these strings.
if TYPE_CHECKING:
    Number = float
else:
    Number = float | Literal["nan", "inf", "-inf"]


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


@dataclass(frozen=True)
class Where:
    """When the step ran; every number counts from 0.

    `step` is the number of training steps the model made before this one in the whole script.
    """

    epoch: int | None
    batch: int | None
    step: int
    phase: Phase


@dataclass(frozen=True)
class Cause:
    """The name of the cause, its certainty, and one complete sentence."""

    name: str
    certainty: Certainty
    message: str


@dataclass(frozen=True)
class Operand:
    """One operand of the first bad op. `min` and `max` are over its finite elements."""

    shape: tuple[int, ...]
    dtype: str
    min: Number | None
    max: Number | None
    num_nonfinite: int

    def __post_init__(self) -> None:
        _parse_numbers(self, "min", "max")


@dataclass(frozen=True)
class Origin:
    """Where the first harmful non-finite value was made.

    `line` and `end_line` count from 1, `column` and `end_column` from 0 and in UTF-8 bytes, as in
    `ast` and `code.co_positions`. `tensor` names the input, target or weight when the value was
    not computed but came in. `library` is the installed package that the line is of, where no line
    of the user's is known.
    """

    op: str
    file: str | None
    line: int | None
    column: int | None
    end_line: int | None
    end_column: int | None
    function: str | None
    layer: str | None
    samples: tuple[int, ...] | None
    operands: tuple[Operand, ...]
    tensor: str | None = None
    library: str | None = None


@dataclass(frozen=True)
class Spread:
    """How far the value got in this step. `loss` is the loss as a decimal string, or "nan"..."""

    loss: str
    num_gradients: int
    num_gradients_nonfinite: int
    first: tuple[str, ...]

    @property
    def is_loss_finite(self) -> bool:
        """Whether the loss is a finite number."""
        try:
            return math.isfinite(float(self.loss))
        except ValueError:  # no number, where the step ended before it had a loss
            return False


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
    its value; empty in files of earlier versions.
    """

    verified: bool
    kind: FixKind
    text: str
    diff: str | None
    value: FixValue | None = None
    loss: Number | None = None
    reference_loss: Number | None = None
    objection: str = ""

    def __post_init__(self) -> None:
        _parse_numbers(self, "loss", "reference_loss")


@dataclass(frozen=True)
class Kept:
    """What is on disk: last good weights, the step they belong to, the incident folder."""

    weights: str | None
    step: int
    incident: str


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


class _Printer(Protocol):
    """What is used of the pretty printer of IPython."""

    def text(self, text: str) -> None: ...


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


@dataclass(frozen=True)
class Incident:
    """One bad step.

    `because` says where the critical value came from and `notes` are further sentences, both in
    order of use. `arithmetic` is what the origin computed, in numbers (`1 / (2 * sqrt(0)) = inf`);
    a report adds the samples. `num_rows` is the number of samples in the batch.
    `source_line` is the whole line at `origin.line`, indentation included, for the columns to fit.
    `num_healthy_steps` is how many healthy steps the fix was compared on. `seconds` is how long
    the explanation took. `intervention` is None where the step ended the training. `recurrence` is
    None where the step could not be run again, and in files of earlier versions. `made_again` says
    of a training loop without Keras what was run to make the step again, and whether loss and
    gradients had the same bits.
    """

    backend: str
    versions: dict[str, str]
    device: str
    script: str | None
    where: Where
    cause: Cause
    origin: Origin
    spread: Spread
    trials: tuple[Trial, ...]
    fix: Fix | None
    kept: Kept
    because: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    num_rows: int | None = None
    num_healthy_steps: int = 0
    source_line: str | None = None
    seconds: Number | None = None
    arithmetic: str | None = None
    intervention: Intervention | None = None
    recurrence: Recurrence | None = None
    made_again: str | None = None
    schema: str = field(default=SCHEMA)

    def __post_init__(self) -> None:
        _parse_numbers(self, "seconds")

    def to_json(self) -> dict[str, Any]:
        """This incident as JSON values: no NaN literals, tuples as lists."""
        return to_json(self)

    def _repr_html_(self) -> str:
        """The report, as a notebook displays it."""
        import stayfinite

        return stayfinite.notebook.html(self)

    def _repr_pretty_(self, printer: _Printer, _is_inside_itself: bool) -> None:
        """The report as text, as IPython shows it in a terminal."""
        import stayfinite

        printer.text(stayfinite.explain(self))

    @classmethod
    def from_json(cls, data: object) -> Incident:
        """Read what `to_json` wrote. Unknown keys, as of a later version, are left out.

        Raises:
            ValueError: `data` is not an incident of this schema; the message is one line.
        """
        # Imported here: the runner needs the class of every script, this of none.
        import msgspec

        schema = data.get("schema") if isinstance(data, dict) else type(data).__name__
        if schema != SCHEMA:
            raise ValueError(
                f"expected an incident with schema {SCHEMA!r}, received {schema!r:.80}"
            )
        try:
            return msgspec.convert(data, cls)
        except (msgspec.ValidationError, RecursionError) as error:
            reason = " ".join(str(error).split())
            raise ValueError(f"the incident is damaged: {reason:.200}") from error


class _Record(Protocol):
    """Any dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


def to_json(record: _Record) -> dict[str, Any]:
    """A dataclass as JSON values: no NaN literals, tuples as lists."""
    encoded: dict[str, Any] = _encode(dataclasses.asdict(record))
    return encoded


def _parse_numbers(owner: object, *names: str) -> None:
    """Replace the strings that stand for non-finite numbers in JSON."""
    for name in names:
        value = getattr(owner, name)
        if isinstance(value, str):
            object.__setattr__(owner, name, float(value))


def _encode(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    if isinstance(value, dict):
        return {key: _encode(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_encode(item) for item in value]
    return value
