"""The peers by name."""

from __future__ import annotations

from zoo.peers.check_numerics import CHECK_NUMERICS
from zoo.peers.checkify import CHECKIFY
from zoo.peers.debug_nans import DEBUG_NANS, DEBUG_NANS_MENDED
from zoo.peers.debug_underflow_overflow import DEBUG_UNDERFLOW_OVERFLOW
from zoo.peers.detect_anomaly import DETECT_ANOMALY
from zoo.peers.lightning_anomaly import LIGHTNING_ANOMALY
from zoo.peers.terminate_on_nan import TERMINATE_ON_NAN

PEERS = {
    peer.name: peer
    for peer in (
        TERMINATE_ON_NAN,
        CHECK_NUMERICS,
        DETECT_ANOMALY,
        LIGHTNING_ANOMALY,
        DEBUG_UNDERFLOW_OVERFLOW,
        DEBUG_NANS,
        DEBUG_NANS_MENDED,
        CHECKIFY,
    )
}
