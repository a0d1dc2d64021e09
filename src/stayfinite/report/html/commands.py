"""The commands on a page that run its step again; only those that can work are shown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from stayfinite.incident import Incident, TrialKind
from stayfinite.report.help import quoted
from stayfinite.report.lines import clean_name


@dataclass(frozen=True)
class Rerun:
    """How the step of an incident folder can be run again.

    Attributes:
        from_config: Whether it needs no script.
        args: Arguments of the script; None where there is no script that can be started.
    """

    from_config: bool
    args: tuple[str, ...] | None


@dataclass(frozen=True)
class Command:
    """A command, and what it is for."""

    purpose: str
    text: str


def commands(incident: Incident, rerun: Rerun | None) -> Iterator[Command]:
    """The commands for an incident whose step can be run again as `rerun` says, None for not."""
    if incident.kept.incident:
        path = clean_name(quoted(incident.kept.incident))
        if rerun is not None:
            yield from _replays(incident, rerun, f"stayfinite replay {path}")
        yield Command("print this report", f"stayfinite explain {path}")
    name = clean_name(quoted(incident.cause.name))
    yield Command("read about the cause", f"stayfinite rule {name}")


def _replays(incident: Incident, rerun: Rerun, again: str) -> Iterator[Command]:
    args = None if rerun.args is None else " ".join(map(quoted, rerun.args))
    # A name that is not shown as it is would be another one when copied.
    has_script = incident.script is not None and args is not None and clean_name(args) == args
    if has_script:
        again += f" --script {clean_name(quoted(incident.script or ''))}"
    elif not rerun.from_config:
        return
    end = f" -- {args}" if has_script and args else ""
    yield Command("run this step again", f"{again}{end}")
    if _can_be_made(incident, has_script):
        yield Command("run it with the fix", f"{again} --change fix{end}")


def _can_be_made(incident: Incident, has_script: bool) -> bool:
    """Whether `--change fix` can make the fix: an edit of the script, or samples to leave out."""
    fix = incident.fix
    if fix is None:
        return False
    if fix.diff:
        return has_script
    shown_by = next((trial.kind for trial in incident.trials if trial.is_fix), None)
    return shown_by is TrialKind.SAMPLES
