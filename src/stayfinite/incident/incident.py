"""One non-finite training step: the content of every report and of the folder on disk."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from stayfinite.incident.numbers import Number, parse_numbers, to_json
from stayfinite.incident.step import Cause, Origin, Spread, Where
from stayfinite.incident.trials import Fix, Intervention, Kept, Recurrence, Trial

SCHEMA = "stayfinite.incident/1"


class _Printer(Protocol):
    """What is used of the pretty printer of IPython."""

    def text(self, text: str) -> None: ...


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
    gradients had the same bits. `elsewhere` is not empty where another process of the same training
    prints the report of the step: it is what this one says.
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
    elsewhere: str = ""
    schema: str = field(default=SCHEMA)

    def __post_init__(self) -> None:
        parse_numbers(self, "seconds")

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
