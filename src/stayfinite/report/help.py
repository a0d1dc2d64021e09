"""The help at the end: the fix, or, when there is none, what to do next."""

from __future__ import annotations

import re
import shlex

from rich.cells import cell_len

from stayfinite.incident import Incident, Recurrence
from stayfinite.pages.clean import clean
from stayfinite.report.lines import clip
from stayfinite.report.trial_lines import also_finite, proof
from stayfinite.report.words import sample_list


def help_text(incident: Incident, longest: int) -> str:
    """The sentence after `help:`; of a fix at most `longest` cells, so that its proof is seen."""
    if incident.fix is not None:
        return f"{_shortened(clean(incident.fix.text), longest)} ({proof(incident)})"
    if incident.recurrence is not None and incident.recurrence.kind == "persistent-on-device":
        return _other_device(incident.recurrence)
    return _NEXT_STEPS.get(incident.cause.name, _in_general)(incident)


def _shortened(text: str, longest: int) -> str:
    """`text` cut behind one of its clauses, with the number of those left out."""
    clauses = text.split("; ")
    for num_left in range(len(clauses)):
        shown = "; ".join(clauses[: len(clauses) - num_left])
        shown += f"; and {num_left} more" if num_left else ""
        if cell_len(shown) <= longest:
            return shown
    return clip(text, longest)


def quoted(path: str) -> str:
    """`path` as one word of a shell, quoted only if needed, on Windows too."""
    return path if re.fullmatch(r"[\w./\\:@%+=,~-]+", path) else shlex.quote(path)


def _other_device(again: Recurrence) -> str:
    finite = ", ".join(device.device for device in again.devices if device.bad is False)
    return (
        f"train on {finite}, where this step is finite; if other steps are bad on this device "
        "only, test its memory"
    )


def _in_general(incident: Incident) -> str:
    page = f"stayfinite rule {incident.cause.name}"
    if also_finite(incident):
        return f"no fix was proved; what kept this step finite is above, more in: {page}"
    return f"no fix was found for this step; what helps against this cause: {page}"


def _unknown(incident: Incident) -> str:
    if not incident.trials:
        kept = "; its batch and the state before it were kept" if incident.kept.incident else ""
        return f"no change was tried on this step{kept}"
    if also_finite(incident):
        return "no fix was proved; start from what kept this step finite, and train again with it"
    return (
        "no change that was tried keeps this step finite; look at the values above, and at the "
        "batch and the state that were kept"
    )


def _not_reproduced(incident: Incident) -> str:
    again = incident.recurrence
    if again is not None and again.kind == "compiled-only":
        return (
            "compare with run_eagerly=True: only the compiled step fails; rewrite the expression "
            "so that one rounding more or less does not matter, or report it to the framework"
        )
    if again is not None and again.kind == "other-program":
        return (
            "a compiled function keeps what it read at its first call: pass what changes as an "
            "argument, or leave it as it is, and train again to have the step explained"
        )
    if again is not None and again.kind == "transient":
        return (
            "go on from the last checkpoint; if it happens again, test the memory and the device, "
            "or run with --policy rollback, which makes such a step again"
        )
    if again is not None and again.kind == "other-process":
        return "read the report of the process whose own gradients are not finite"
    return (
        "train again with the same seed; if another step fails, or none, suspect the data "
        "pipeline, a kernel or the hardware"
    )


def _bad_batch(incident: Incident) -> str:
    samples = incident.origin.samples
    which = sample_list(samples, incident.num_rows) if samples else "the batch"
    tensor = f" of `{incident.origin.tensor}`" if incident.origin.tensor else ""
    return f"look at {which}{tensor} where they are loaded, and repair or leave them out there"


def _bad_weights(incident: Incident) -> str:
    return "check the file that the weights came from (stayfinite verify FILE), or the initializer"


_NEXT_STEPS = {
    "unknown": _unknown,
    "not-reproduced": _not_reproduced,
    "bad-input": _bad_batch,
    "bad-target": _bad_batch,
    "bad-weights": _bad_weights,
}
