"""How a step was made again to explain it, and whether it was the step of the training."""

from __future__ import annotations

from stayfinite.experiments.fidelity import Fidelity
from stayfinite.experiments.try_change import NotTried
from stayfinite.frameworks.obstacles import WhyNot
from stayfinite.report.wording.obstacles import clause
from stayfinite.report.wording.trials import not_tried
from stayfinite.report.words import names, number, plural


def made_again(by: str, found: Fidelity) -> str:
    """What was run, and how it compares."""
    return f"made again from: {by}, {_compared(found)}"


def not_made_again(why: WhyNot | NotTried) -> str:
    """Why nothing was run."""
    return f"not made again: {not_tried(why) if isinstance(why, NotTried) else clause(why)}"


def cannot_remake(stage: str, why: WhyNot) -> str:
    """Why a stage of the explanation has no result."""
    return f"{stage}: {clause(why)}"


def differs(found: Fidelity) -> str:
    """The message of the cause where the two differ."""
    return f"the step was non-finite in training, and made again it has {_other(found)}"


def finite_again(num_processes: int, was_bad_again: bool) -> str:
    """The message of the cause where the step is finite when it is run again, or now and then."""
    if num_processes > 1:
        return (
            f"the gradients are a mean over {num_processes} processes, and those of this process "
            "alone are finite: the failure came from another process"
        )
    if was_bad_again:
        return "the step was non-finite in training and in some runs after it, and finite in others"
    return "the step was non-finite in training and finite when run again"


def _compared(found: Fidelity) -> str:
    if found.is_equal and found.num_processes > 1:
        return "in this process alone, its loss bit-equal to training"
    if found.is_equal:
        return "bit-equal to training"
    parts = []
    if found.differing:
        by = f" by up to {number(found.largest)} of the largest element" if found.largest else ""
        parts.append(
            f"{len(found.differing)} of {plural(found.num_gradients, 'gradient')} differ{by}: "
            f"{names(found.differing, most=3)}"
        )
    if number(found.loss) != number(found.seen_loss):
        parts.append(f"the loss is {number(found.loss)} and was {number(found.seen_loss)}")
    return "; ".join(parts) or "the loss differs in its last bits"


def _other(found: Fidelity) -> str:
    return "other gradients" if found.differing else "another loss"
