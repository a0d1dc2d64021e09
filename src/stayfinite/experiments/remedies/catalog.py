"""Which remedies are tried for which cause."""

from __future__ import annotations

import importlib

from stayfinite.experiments.remedies.proof import Past, Proof

# The file of this folder that has the remedies of a cause.
_FILES = {
    "bad-input": "data",
    "bad-target": "data",
    "bad-statistics": "statistics",
    "bad-update": "update",
    "divergence": "divergence",
    "bad-weights": "weights",
}


def prove(past: Past) -> Proof:
    """The best proof there is of a remedy for the cause that was found."""
    name = _FILES.get(past.finding.cause)
    if name is None:
        return Proof(past.finding)
    proof: Proof = importlib.import_module(f"stayfinite.experiments.remedies.{name}").prove(past)
    return proof
