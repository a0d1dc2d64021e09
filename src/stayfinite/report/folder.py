"""The incident on disk: JSON and safetensors only, so that an untrusted one is safe to open.

incident-000812/
    incident.json              the incident (`stayfinite.incident/1`)
    batch.safetensors          the batch of the failing step, by leaf name
    state.safetensors          the whole state before it: weights, statistics, optimizer, seeds
    figures.json               losses, and norms of each layer, of the steps before
    incident.html              the report as a page
    last_good.weights.h5       the last good weights, for plain `model.load_weights`
    replay.json                structure of the batch and config of the model, for `replay`
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from stayfinite.frameworks.state import arrays_of_random
from stayfinite.frameworks.step import Step
from stayfinite.frameworks.subject import Subject
from stayfinite.incident import Incident, Kept
from stayfinite.report import text
from stayfinite.report.figures import Figures, read_figures, write_figures
from stayfinite.report.html import IncidentReport, page_of, run_page
from stayfinite.report.html.samples import samples_of
from stayfinite.report.json import render
from stayfinite.report.reading import INCIDENT, read
from stayfinite.report.step_record import record_of, write_record
from stayfinite.strict import caught

WEIGHTS = "last_good.weights.h5"
BATCH = "batch.safetensors"
PAGE = "incident.html"


@dataclass(frozen=True)
class IncidentFolder:
    """Where one incident lies. `weights` is None when they could not be written."""

    path: Path
    weights: Path | None


def create(
    keep: Path,
    step: int,
    subject: Subject,
    state: dict[str, np.ndarray],
    batch: dict[str, np.ndarray],
) -> IncidentFolder:
    """Write everything but the explanation, before the explanation can fail.

    Raises:
        OSError: the folder cannot be written.
    """
    path = _fresh(keep, f"incident-{step:06d}")
    for name, arrays in (("batch", batch), ("state", state)):
        contiguous = {key: np.asarray(array, order="C") for key, array in arrays.items()}
        save_file(contiguous, path / f"{name}.safetensors")
    return IncidentFolder(path, _save_weights(subject, path / WEIGHTS))


def write(path: Path, incident: Incident) -> None:
    """Write the incident into its folder."""
    (path / INCIDENT).write_text(render(incident) + "\n", encoding="utf-8")


def write_page(path: Path, incident: Incident) -> None:
    """Write the page of the incident into its folder.

    Raises:
        OSError: it cannot be written.
    """
    (path / PAGE).write_text(page_of(report_of(path, incident)), encoding="utf-8")


def report_of(path: Path, incident: Incident) -> IncidentReport:
    """What a page shows of `incident`, with the figures and samples in its folder `path`."""
    return IncidentReport(incident, read_figures(path), samples_of(incident, path / BATCH))


def kept_report(incident: Incident) -> IncidentReport:
    """What a page shows of `incident`, from the folder that this process has made for it."""
    if not incident.kept.incident:  # nothing could be written
        return IncidentReport(incident)
    return report_of(Path(incident.kept.incident), incident)


def page_of_run(script: str, exit_code: int, num_steps: int, incidents: Sequence[Incident]) -> str:
    """The page of a run, with what lies in the folder of each of its incidents.

    Args:
        script: The script as the user named it.
        exit_code: That of the run.
        num_steps: Training steps of all models.
        incidents: In the order in which they occurred.
    """
    reports = [kept_report(incident) for incident in incidents]
    return run_page(script, exit_code, num_steps, reports)


def keep_figures(path: Path, figures: Figures) -> None:
    """Write the figures of the steps before into the folder `path`, if the disk has room."""
    with contextlib.suppress(OSError):
        write_figures(path, figures)


def keep(incident: Incident, parent: Path, step: Step) -> tuple[Path | None, Incident]:
    """Make the folder of `incident` in `parent`; the folder, and the incident that names it.

    If the disk is full, the incident has a note and no folder.
    """
    state = {**step.state_arrays(), **arrays_of_random(step.state.random)}
    try:
        made = create(parent, incident.where.step, step.subject, state, step.batch.arrays())
        write_record(made.path, record_of(step, state))
    except OSError as error:
        return None, _with_note(incident, f"nothing could be kept on disk: {error}")
    weights = None if made.weights is None else str(made.weights)
    kept = Kept(weights, incident.kept.step, str(made.path))
    return made.path, dataclasses.replace(incident, kept=kept)


def finish(path: Path, incident: Incident) -> Incident:
    """Write `incident` and its page into its folder `path`; it has a note where that failed."""
    try:
        write(path, incident)
        write_page(path, incident)
    except OSError as error:
        return _with_note(incident, f"the incident could not be written: {error}")
    except Exception as error:
        # The training ends with the report, also without its page.
        return _with_note(incident, caught("the page of the report", error))
    return incident


def _with_note(incident: Incident, note: str) -> Incident:
    return dataclasses.replace(incident, notes=(*incident.notes, note))


def explain(incident: Incident | str | Path, *, width: int = 100) -> str:
    """The report of an incident, as text.

    Args:
        incident: The incident of a `NonFiniteError`, or the folder that it was kept in.
        width: Columns; every line is at most so many cells wide.

    Returns:
        At most 24 lines.

    Raises:
        UsageError: there is no incident at the path, or it is damaged.

    Example:

    ```python
    print(stayfinite.explain("stayfinite-out/incident-000812"))
    ```
    """
    found = incident if isinstance(incident, Incident) else read(Path(incident))
    return text.render(found, width=width)


def _save_weights(subject: Subject, path: Path) -> Path | None:
    try:
        subject.save_weights(path)
    except Exception:
        # A user's layer may not be savable; its values are also in state.safetensors.
        return None
    return path


def _fresh(keep: Path, name: str) -> Path:
    """A new folder; a run never writes over the incident of an earlier one."""
    keep.mkdir(parents=True, exist_ok=True)
    number = 1
    while True:
        path = keep / (name if number == 1 else f"{name}-{number}")
        try:
            path.mkdir()
        except FileExistsError:
            number += 1
            continue
        return path
