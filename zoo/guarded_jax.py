"""`python -m zoo.guarded_jax SCRIPT`: a script in plain JAX as it is, with its step guarded.

A user writes `step = stayfinite.guarded(step)`. Here, what the script itself compiles is guarded;
an incident is kept in the folder `kept`.
"""

from __future__ import annotations

import runpy
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from zoo.compiled_steps import Step, wrap_compiled


def _guarded(step: Step) -> Step:
    import stayfinite

    guard: Any = stayfinite.guarded
    guarded: Step = guard(step, keep="kept")
    return guarded


def main(arguments: Sequence[str]) -> None:
    """Run the script as `__main__`; its exceptions pass through."""
    script = Path(arguments[0])
    wrap_compiled(script, _guarded)
    sys.argv = [str(script)]
    sys.path[0] = str(script.resolve().parent)
    runpy.run_path(str(script), run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1:])
