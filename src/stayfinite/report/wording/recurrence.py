"""Whether a step was bad again, on this device and on others, in words."""

from __future__ import annotations

from stayfinite.experiments.recurrence import OtherDevice, Recurrences
from stayfinite.experiments.try_change import NotTried
from stayfinite.incident import DeviceRun, Recurrence
from stayfinite.report.wording.trials import not_tried
from stayfinite.report.words import plural


def recurrence(found: Recurrences) -> Recurrence:
    """The facts as an incident has them."""
    return Recurrence(
        kind=found.kind,
        num_reruns=len(found.runs),
        num_bad=sum(found.runs),
        devices=tuple(DeviceRun(device.name, device.is_bad) for device in found.devices),
    )


def again(found: Recurrences, op_by_op: str) -> tuple[str, ...]:
    """What a step that is not bad each time gave when it was run again.

    Args:
        found: The runs.
        op_by_op: The outcome of the first run op by op.
    """
    if found.is_bad_op_by_op:
        num_runs, num_bad = len(found.runs), sum(found.runs)
        runs = plural(num_runs, "run")
        return (f"intermittent: op by op the step was non-finite in {num_bad} of {runs}",)
    which = "what the step reads now" if found.is_other_program else "the same step"
    return _compiled(found), f"op by op {which} is finite: {op_by_op}"


def _compiled(found: Recurrences) -> str:
    num_runs, num_bad = len(found.compiled), sum(found.compiled)
    runs = plural(num_runs, "run")
    match found.kind:
        case "transient":
            return f"transient: the compiled step was finite in {num_runs} of {runs}"
        case "intermittent":
            return f"intermittent: the compiled step was non-finite again in {num_bad} of {runs}"
        case "other-program":
            return (
                "other program: the step reads something that has changed since it was compiled, "
                "so it could not be made again op by op; as compiled it was non-finite in "
                f"{num_bad} of {runs}"
            )
    return f"compiled only: the compiled step was non-finite again in {num_bad} of {runs}"


def devices(found: Recurrences) -> list[str]:
    """What the step gave on other devices; for a step that is bad each time, only if there are."""
    if not found.devices:
        return [] if found.is_reproduced else ["there is no other device to run the step on"]
    begin = {
        "everywhere": "everywhere: ",
        "persistent-on-device": "persistent on this device: ",
    }.get(found.kind, "")
    return [begin + ", ".join(_on(device) for device in found.devices)]


def _on(device: OtherDevice) -> str:
    if isinstance(device.result, NotTried):
        return f"the step was not run on {device.name}: {not_tried(device.result)}"
    return f"the step is {'non-finite' if device.is_bad else 'finite'} on {device.name}"
