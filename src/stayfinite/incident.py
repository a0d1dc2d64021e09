"""One non-finite training step as plain data: what every report prints, and what lies on disk.

The fields are those of the public contract (`stayfinite.incident/1`). Nothing here computes: the
guard finds the step, replay and rules fill the fields in, `report` formats them.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from types import UnionType
from typing import Any, Literal, cast, get_args, get_origin, get_type_hints

SCHEMA = "stayfinite.incident/1"

Phase = Literal["load", "data", "forward", "backward", "update", "statistics"]
Certainty = Literal["confirmed", "likely", "unknown"]
Outcome = Literal["finite", "non-finite"]
FixKind = Literal["source", "setting", "data"]


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
    """The cause by its contract name, how sure we are, and one sentence that stands alone."""

    name: str
    certainty: Certainty
    message: str


@dataclass(frozen=True)
class Operand:
    """One operand of the first bad op. `min` and `max` are over its finite elements."""

    shape: tuple[int, ...]
    dtype: str
    min: float | None
    max: float | None
    num_nonfinite: int


@dataclass(frozen=True)
class Origin:
    """Where the first harmful non-finite value was made.

    `line` and `end_line` count from 1, `column` and `end_column` from 0 and in UTF-8 bytes, as in
    `ast` and `code.co_positions`. `tensor` names the input, target or weight when the value was
    not computed but came in.
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


@dataclass(frozen=True)
class Spread:
    """How far the value got in this step. `loss` is the loss as a decimal string, or "nan"..."""

    loss: str
    num_gradients: int
    num_gradients_nonfinite: int
    first: tuple[str, ...]


@dataclass(frozen=True)
class Trial:
    """The same step with one thing different."""

    change: str
    outcome: Outcome
    detail: str


@dataclass(frozen=True)
class Fix:
    """The remedy; `verified` only if the failing step was run again with exactly this change."""

    verified: bool
    kind: FixKind
    text: str
    diff: str | None


@dataclass(frozen=True)
class Kept:
    """What is on disk: last good weights, the step they belong to, the incident folder."""

    weights: str | None
    step: int
    incident: str


@dataclass(frozen=True)
class Incident:
    """One bad step. See the module docstring.

    `because` says where the critical value came from and `notes` are further sentences, both in
    order of use. `arithmetic` is what the origin computed, in numbers (`1 / (2 * sqrt(0)) = inf`);
    a report adds the rows where it does not name them.
    `source_line` is the whole line at `origin.line`, indentation included, for the columns to fit.
    `num_healthy_steps` is how many healthy steps the fix was held against.
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
    seconds: float | None = None
    arithmetic: str | None = None
    schema: str = field(default=SCHEMA)

    def to_json(self) -> dict[str, Any]:
        """This incident as JSON values: no NaN literals, tuples as lists."""
        encoded: dict[str, Any] = _encode(dataclasses.asdict(self))
        return encoded

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Incident:
        """Read what `to_json` wrote.

        Raises:
            ValueError: `data` is not an incident of this schema.
        """
        if not isinstance(data, dict) or data.get("schema") != SCHEMA:
            found = data.get("schema") if isinstance(data, dict) else type(data).__name__
            raise ValueError(f"expected an incident with schema {SCHEMA!r}, received {found!r}")
        try:
            incident: Incident = _read(cls, data, "incident")
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"the incident is damaged: {error}") from error
        return incident


def _encode(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    if isinstance(value, dict):
        return {key: _encode(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_encode(item) for item in value]
    return value


def _read(kind: Any, value: Any, name: str) -> Any:
    """`value`, read from JSON, as the annotated type `kind`; the inverse of `_encode`.

    A stranger's file is checked here, once, so that nobody after it has to. Unknown keys are left
    out: a later version may write more.
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is UnionType:  # only `X | None` occurs
        return None if value is None else _read(arguments[0], value, name)
    if origin is tuple and isinstance(value, list | tuple):
        return tuple(_read(arguments[0], item, name) for item in value)
    if origin is dict and isinstance(value, dict):
        return {str(key): _read(arguments[1], item, name) for key, item in value.items()}
    if dataclasses.is_dataclass(kind) and isinstance(value, dict):
        hints = get_type_hints(kind)
        read = {key: _read(hints[key], value[key], key) for key in hints if key in value}
        return cast(Any, kind)(**read)
    return _read_scalar(kind, value, name)


def _read_scalar(kind: Any, value: Any, name: str) -> Any:
    if kind is float and (value in ("nan", "inf", "-inf") or type(value) is int):
        return float(value)
    if get_origin(kind) is Literal:
        allowed = value in get_args(kind)
    else:  # True is an int to `isinstance`, but no line number
        allowed = get_origin(kind) is None and isinstance(value, kind)
        allowed = allowed and (kind is bool or not isinstance(value, bool))
    if not allowed:
        raise TypeError(f"`{name}` cannot be {value!r:.40}")
    return value
