"""Metrics of embeddings: the public name of `stayfinite.networks.metrics`."""

from stayfinite.networks.metrics import (
    RecallAtK,
    VerificationCurve,
    recall_at_k,
    verification_curve,
)

__all__ = [
    "RecallAtK",
    "VerificationCurve",
    "recall_at_k",
    "verification_curve",
]
