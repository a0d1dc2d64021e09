"""What a tool made of one script, in the same form for every tool."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ProposedFix:
    """A fix that was printed. `holds` is None where it cannot be applied by a machine.

    `value`, `loss` and `reference_loss` are what the tool says of the failing step with the fix:
    None where it says nothing, a string where the number is not finite. `same_value`,
    `difference`, `step_loss` and `twin_loss` are what `zoo.values` measured.
    """

    verified: bool
    kind: str
    text: str
    diff: str | None
    holds: bool | None = None
    trouble: str | None = None
    value: str | None = None
    loss: float | str | None = None
    reference_loss: float | str | None = None
    same_value: bool | None = None
    difference: str | None = None
    step_loss: float | None = None
    twin_loss: float | None = None


@dataclass(frozen=True)
class Answer:
    """`stopped` says that the tool itself stopped the training or called it non-finite.

    What a tool does not tell is None or empty. `lines` are those of the script that it named,
    `said` is its own sentence, `report_seconds` the time from the bad step to the report, `trouble`
    an end that is neither a stop by the tool nor an ordinary one.
    """

    stopped: bool
    wall_seconds: float
    step: int | None = None
    cause: str | None = None
    lines: tuple[int, ...] = ()
    rows: tuple[int, ...] | None = None
    op: str | None = None
    fix: ProposedFix | None = None
    report_seconds: float | None = None
    said: str = ""
    trouble: str | None = None
