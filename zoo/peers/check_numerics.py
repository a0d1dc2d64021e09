"""`tf.debugging.enable_check_numerics()`."""

from __future__ import annotations

import re

from zoo.peers.peer import Peer
from zoo.peers.steps import Steps


def switch_on(steps: Steps) -> None:
    """Check every op from here on, eager or in a graph."""
    import tensorflow

    tensorflow.debugging.enable_check_numerics()


CHECK_NUMERICS = Peer(
    "check-numerics",
    ("tensorflow",),
    switch_on,
    # The first is how it begins; the second is all that is left of it in some graphs.
    re.compile(
        r"Detected Infinity or NaN in output \d+ of (?:eagerly-executed|graph) op \"(?P<op>\w+)\""
        r"|Tensor had (?:NaN|Inf|\+Inf|-Inf)"
    ),
)
