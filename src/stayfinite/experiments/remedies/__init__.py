"""Remedies that are no edit of the source: settings and data, each proved by running steps again.

One file a cause, or a few that are alike. `prove` picks it; where there is none, the advice of the
rule stands as it is, unproved.
"""

from stayfinite.experiments.remedies.catalog import prove
from stayfinite.experiments.remedies.proof import Past, Proof

__all__ = ["Past", "Proof", "prove"]
