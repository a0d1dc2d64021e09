"""Metrics of embeddings: recall at k, and a verification curve."""

from stayfinite.networks.metrics.recall import RecallAtK, recall_at_k
from stayfinite.networks.metrics.verification import VerificationCurve, verification_curve

__all__ = [
    "RecallAtK",
    "VerificationCurve",
    "recall_at_k",
    "verification_curve",
]
