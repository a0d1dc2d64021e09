"""Notices about a training that goes on."""

from __future__ import annotations

import math


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
