"""The incident on disk: JSON and safetensors only, so that an untrusted one is safe to open.

incident-000812/
    incident.json              the incident (`stayfinite.incident/1`)
    batch.safetensors          the batch of the failing step, by leaf name
    state.safetensors          the whole state before it: weights, statistics, optimizer, seeds
    figures.json               losses, and norms of each layer, of the steps before
    incident.html              the report as a page
    last_good.weights.h5       the last good weights, for plain `model.load_weights`; of a training
                               without Keras last_good.safetensors; not there where the state before
                               the step was not finite
    replay.json                structure of the batch, config of the model, arguments of the script
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stayfinite.checkpoints.stored import may_be_saved
from stayfinite.errors import UsageError
from stayfinite.files.arrays import write_arrays
from stayfinite.files.writing import folder_beside, put_folder, put_text
from stayfinite.frameworks.names import path_of
from stayfinite.frameworks.state import arrays_of_random
from stayfinite.frameworks.step import Step
from stayfinite.frameworks.subject import Subject
from stayfinite.incident import Incident
from stayfinite.report import text
from stayfinite.report.figures import Figures, read_figures, write_figures
from stayfinite.report.html import IncidentReport, page_of, run_page
from stayfinite.report.html.commands import Rerun
from stayfinite.report.html.samples import samples_of
from stayfinite.report.json import render
from stayfinite.report.reading import INCIDENT, read
from stayfinite.report.step_record import (
    StepRecord,
    read_record,
    record_of,
    within_limit,
    write_record,
)
from stayfinite.strict import caught, is_internal

BATCH = "batch.safetensors"
PAGE = "incident.html"

_UNEXPLAINED = "its explanation was not finished"


@dataclass(frozen=True)
class Contents:
    """What an incident folder has beside the incident: arrays by name, and the record of a step.

    `is_good` is whether a training can go on from the state.
    """

    subject: Subject
    state: dict[str, np.ndarray]
    batch: dict[str, np.ndarray]
    record: StepRecord
    is_good: bool = True


def write_page(path: Path, incident: Incident) -> None:
    """Write the page of the incident into its folder.

    Raises:
        OSError: it cannot be written.
    """
    put_text(path / PAGE, page_of(report_of(path, incident)))


def report_of(path: Path, incident: Incident) -> IncidentReport:
    """What a page shows of `incident`, with the figures and samples in its folder `path`."""
    samples = samples_of(incident, path / BATCH)
    return IncidentReport(incident, read_figures(path), samples, _rerun(path))


def _rerun(path: Path) -> Rerun | None:
    try:
        record = read_record(path)
    except UsageError:
        return None
    if record.batch is None and record.loop is None:
        return None
    return Rerun(record.model is not None, within_limit(record.args))


def kept_report(incident: Incident) -> IncidentReport:
    """What a page shows of `incident`, from the folder that this process has made for it."""
    if not incident.kept.incident:  # nothing could be written
        return IncidentReport(incident)
    return report_of(Path(incident.kept.incident), incident)


def page_of_run(script: str, exit_code: int, num_steps: int, incidents: Sequence[Incident]) -> str:
    """The page of a run, with the content of the folder of each of its incidents.

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

    It is whole from its first moment, before the explanation can fail or be interrupted. If the
    disk is full, the incident has a note and no folder.
    """
    state = {**step.state_arrays(), **arrays_of_random(step.state.random)}
    try:
        record = record_of(step, state)
        is_good = _is_good(
            step.subject, {n: a for n, a in state.items() if n not in record.metrics}
        )
        contents = Contents(step.subject, state, step.batch.arrays(), record, is_good)
        return create(parent, incident, contents)
    except OSError as error:
        return None, _with_note(incident, f"nothing could be kept on disk: {error}")


def _is_good(subject: Subject, state: Mapping[str, np.ndarray]) -> bool:
    """Whether a training can go on from a state without metrics.

    A weight of the user's own code may be infinite on purpose, and a buffer may have places that
    are not filled yet.
    """
    trained = len(subject.trainable_variables)
    variables = [*subject.trainable_variables, *subject.non_trainable_variables]
    own = subject.may_keep_infinity()
    may_be_infinite = {path_of(variables[n]) for n in own}
    may_be_anything = {path_of(variables[n]) for n in own if n >= trained}
    for name, array in state.items():
        path = name.partition(":")[0]
        is_free = path in may_be_anything
        if not (is_free or may_be_saved(array, may_be_infinite=path in may_be_infinite)):
            return False
    return True


def create(parent: Path, incident: Incident, contents: Contents) -> tuple[Path, Incident]:
    """Write everything to a folder under another name, and move it to a free one in `parent`.

    Returns:
        The folder, and the incident that names it. In the folder it has a note that there is no
        explanation yet.

    Raises:
        OSError: the folder cannot be written.
    """
    parent.mkdir(parents=True, exist_ok=True)
    name = f"incident-{incident.where.step:06d}"
    with folder_beside(parent / name) as unfinished:
        new = unfinished / name
        new.mkdir()
        for file, arrays in (("batch", contents.batch), ("state", contents.state)):
            contiguous = {key: np.asarray(array, order="C") for key, array in arrays.items()}
            write_arrays(new / f"{file}.safetensors", contiguous)
        weights_file = contents.subject.weights_file
        has_weights = False
        if contents.is_good:
            try:
                has_weights = _save_weights(contents.subject, new / weights_file)
            except OSError as error:
                # Without room the rest is kept: the values are also in state.safetensors.
                note = f"the last good weights have no file of their own: {error.strerror or error}"
                incident = _with_note(incident, note)
        write_record(new, contents.record)
        # A run never writes over the incident of an earlier one.
        number = 0
        while True:
            number += 1
            path = parent / (name if number == 1 else f"{name}-{number}")
            if path.exists():
                continue
            weights = str(path / weights_file) if has_weights else None
            kept = dataclasses.replace(incident.kept, weights=weights, incident=str(path))
            named = dataclasses.replace(incident, kept=kept)
            text_of_now = _text_of(_with_note(named, _UNEXPLAINED))
            (new / INCIDENT).write_text(text_of_now, encoding="utf-8")
            try:
                put_folder(new, path)
            except OSError as error:
                if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                    continue  # another process has just made it
                raise
            return path, named


def write(path: Path, incident: Incident) -> None:
    """Write the incident into its folder, in the place of the one that is there.

    Raises:
        OSError: it could not be written; the one that is there is unchanged.
    """
    put_text(path / INCIDENT, _text_of(incident))


def _text_of(incident: Incident) -> str:
    return render(incident) + "\n"


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


def _save_weights(subject: Subject, path: Path) -> bool:
    """Write the weights to `path`, and those of further modules beside it: all of them, or none.

    Returns:
        Whether they were written.

    Raises:
        OSError: They could not be written.
    """
    with folder_beside(path) as folder:
        try:
            subject.save_weights(folder / path.name)
        except OSError:
            raise
        except Exception as error:
            if is_internal(error):
                caught("saving the weights", error)
            # A user's layer may not be savable; its values are also in state.safetensors.
            return False
        for file in folder.iterdir():
            file.replace(path.with_name(file.name))
    return True
