"""`python -m zoo.peers.launcher PEER TOLD SCRIPT`: a script as it is, with a peer switched on.

What only this process can know, the step, goes to the file TOLD as JSON; all else is printed by
the script and its peer.
"""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

from zoo.peers.names import PEERS
from zoo.peers.steps import Steps


def main() -> None:
    """Run the script as `__main__`; its exceptions and its exit pass through."""
    name, told, script = sys.argv[1:]
    sys.argv = [script]
    steps = Steps()
    steps.count()
    PEERS[name].switch_on(steps)
    try:
        runpy.run_path(script, run_name="__main__")
    finally:
        Path(told).write_text(json.dumps({"step": steps.at_the_end}), encoding="utf-8")


if __name__ == "__main__":
    main()
