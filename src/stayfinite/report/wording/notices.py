"""Notices about a training that goes on."""

from __future__ import annotations


def bad_loss(step: int, has_gradients: bool = True) -> str:
    """The loss of `step` was not finite; its gradients, if they are seen, and new state were."""
    finite = "its gradients and the new state" if has_gradients else "the new weights"
    return (
        f"the loss of step {step} is not finite, but {finite} are, so the "
        "training goes on; look for a batch without any sample or label that counts; further "
        "losses are not looked at"
    )


def finite_update(step: int) -> str:
    """The gradients of `step` were not finite, and its update has made finite weights of them."""
    return (
        f"the gradients of step {step} are not finite, and its update makes finite weights of "
        "them, as by clipping, so the training goes on; what such a step changes in the weights "
        "does not come from the loss; further gradients of this kind are not reported"
    )
