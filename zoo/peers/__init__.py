"""What else users switch on to find a NaN, each as its documentation says, one file a peer.

A peer is switched on in the process of the script by `launcher.py`, which leaves the script as it
is; `asking.py` starts that process and reads what was printed.
"""
