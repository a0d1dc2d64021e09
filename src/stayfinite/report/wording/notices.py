"""Notices about a training that goes on."""

from __future__ import annotations

import math

from stayfinite.errors import CannotGuardError
from stayfinite.frameworks.kept_in_memory import CopyInMemory, CopyKind
from stayfinite.frameworks.obstacles import WhyNot
from stayfinite.report.wording.obstacles import clause


def bad_loss(step: int, loss: float, *, has_gradients: bool = True) -> str:
    """The loss of `step` was not finite; its gradients, if they are seen, and new state were."""
    finite = "its gradients and the new state" if has_gradients else "the new weights"
    search = "a batch without any sample or label that counts"
    if math.isinf(loss):
        search = "a logarithm or a quotient at 0, or a number beyond the range of the dtype"
    return (
        f"the loss of step {step} is {loss}, but {finite} are finite, so the "
        f"training goes on; look for {search}; further losses are not looked at"
    )


def finite_update(step: int) -> str:
    """The gradients of `step` were not finite, and its update has made finite weights of them."""
    return (
        f"the gradients of step {step} are not finite, and its update makes finite weights of "
        "them, as by clipping, so the training goes on; what such a step changes in the weights "
        "does not come from the loss; further gradients of this kind are not reported"
    )


def left_out(step: int) -> str:
    """The update of `step` was not finite, and the program itself has not applied it."""
    return (
        f"the update of step {step} is not finite; the program has not applied it, and its "
        "optimizer kept the state before"
    )


def applied_bad_loss(step: int, loss: float) -> str:
    """The loss of `step` was not finite and its gradients were; it is the first such step."""
    return (
        f"the loss of step {step} is {loss} and all its gradients are finite, so its update was "
        "applied; run with --strict to stop at such a step"
    )


def applied_bad_losses(num_steps: int, first: int, last: int) -> str:
    """How many such steps there were, and between which."""
    return (
        f"the losses of {num_steps} steps from {first} to {last} were not finite, with finite "
        "gradients; their updates were applied"
    )


def bad_evaluation(loss: float, epoch: int | None) -> str:
    """The loss of an evaluation was not finite; `epoch` is that of a validation."""
    when = "the evaluation" if epoch is None else f"the validation after epoch {epoch}"
    return (
        f"the loss of {when} is {loss}; the weights were left as they are, and look for "
        "non-finite or extreme values in the data of the evaluation first"
    )


def applied_in_backward() -> str:
    """An optimizer is applied where no guard can judge the whole step."""
    return (
        "an optimizer is applied inside the backward pass; its updates are not guarded, and the "
        "training goes on"
    )


def cannot_go_on(policy: str, why: WhyNot) -> str:
    """A policy runs steps again, and those of this loop cannot be."""
    return f"this loop cannot go on under the policy {policy!r}, because {clause(why)}; it stops"


def made_by_repair(step: int) -> str:
    """The repaired body of a loop makes a step, as the code that runs cannot be replaced."""
    return (
        f"step {step} is made by the repaired body of the loop; so is each later step that fails "
        "in the running code"
    )


def unguarded_step(name: str, why: WhyNot | str) -> str:
    """The step of a hand-written loop is not guarded."""
    return f"the step {name}() runs without the guard: {clause(why)}"


def unguarded_training(error: CannotGuardError) -> str:
    """A training of Keras is not guarded."""
    return f"{error}; this training runs without it"


def unguarded_from_here(failed: str) -> str:
    """An internal error ends the guard of a training."""
    return f"{failed}; this training runs unguarded from here on"


def kept_in_memory(copy: CopyInMemory) -> str:
    """A large copy adds to the use of memory, since it could not be written to a file."""
    is_batch = copy.kind is CopyKind.BATCH
    what = "the copy of a batch" if is_batch else "the snapshot of the state"
    why = "no folder for temporary files is on a local disk with twice that room"
    if copy.error is not None:
        place = "" if copy.error.filename is None else f" ({copy.error.filename})"
        why = f"{copy.error.strerror}{place}"
    return (
        f"{what}, {copy.num_bytes / 2**20:,.0f} MiB, is kept in memory: {why}; set TMPDIR to a "
        "folder on a local disk to have it in a file"
    )
