"""`python -m zoo.guarded_jax run ... SCRIPT`: `stayfinite run` of a script in plain JAX as it is.

A user writes `step = stayfinite.guarded(step)`. Here, what the script itself compiles is guarded.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from zoo.compiled_steps import Step, wrap_compiled


def _guarded(step: Step) -> Step:
    import stayfinite

    guard: Any = stayfinite.guarded
    guarded: Step = guard(step)
    return guarded


def main(arguments: Sequence[str]) -> int:
    """The command `stayfinite` with these arguments, of which the last is the script."""
    from stayfinite.cli import main as stayfinite

    wrap_compiled(Path(arguments[-1]), _guarded)
    return stayfinite(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
