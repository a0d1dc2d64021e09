"""`jax.config.update("jax_debug_nans", True)`, as it is and with a fault of JAX 0.10 mended.

Functions of JAX that expect NaN switch the check off for themselves, `with debug_nans(False)`. At
the end of that block it stays off in this thread for every compiled function that has run before,
so a training that calls one of them is not checked after its first step. As it is, is what users
have; mended, is what the check can do.
"""

from __future__ import annotations

import re

from zoo.peers.peer import Peer
from zoo.peers.steps import Steps

# "encountered in jit(step)" names no operation. The second is said where the step is finite when it
# is run again op by op.
_ALARM = re.compile(
    r"invalid value \((?:nan|inf)\) encountered in (?P<op>\w+)?"
    r"|FloatingPointError: .*the de-optimized function did not produce invalid values"
)


def switch_on(steps: Steps) -> None:
    """Check the outputs of every compiled function from here on."""
    import jax

    jax.config.update("jax_debug_nans", True)


def switch_on_mended(steps: Steps) -> None:
    """As `switch_on`; what ends a block in which it is off turns it on again."""
    import jax
    from jax._src import api, config

    def of_this_thread(_: object) -> None:
        state = api._nan_check_posthook if config.debug_nans.value else None
        api._post_hook_state.set_local(state)

    config.debug_nans._add_hooks(api._update_debug_special_global, of_this_thread)
    jax.config.update("jax_debug_nans", True)


_BACKENDS = ("jax", "plain-jax")
DEBUG_NANS = Peer("debug-nans", _BACKENDS, switch_on, _ALARM)
DEBUG_NANS_MENDED = Peer("debug-nans-mended", _BACKENDS, switch_on_mended, _ALARM)
