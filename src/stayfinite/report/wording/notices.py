"""Notices about a training that goes on."""

from __future__ import annotations


def bad_loss(step: int) -> str:
    """The loss of `step` was not finite, its gradients and its new state were."""
    return (
        f"the loss of step {step} is not finite, but its gradients and the new state are, so the "
        "training goes on; look for a batch without any sample or label that counts; further "
        "losses are not looked at"
    )
