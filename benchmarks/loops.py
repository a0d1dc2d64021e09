"""What guarding a hand-written loop costs a step: `python -m benchmarks.loops torch`, or `jax`.

Each network is trained by the same loop in one process, bare and guarded by turns, so that a change
of the machine's load reaches both. Times are processor time. "Added" is the difference, and "ratio"
the quotient, of the two blocks of one turn; the table has their medians and quartiles.

With `--fresh`, each block is trained in a process of its own. What earlier blocks leave in the heap
decides how often the allocator gives memory back, which can take a tenth of a step.
"""

from __future__ import annotations

import argparse
import importlib
import os
import statistics
import subprocess
import sys
from collections.abc import Mapping
from typing import Protocol


class Loop(Protocol):
    """A network with its loop."""

    def seconds(self, num_steps: int, *, guarded: bool) -> float:
        """Processor seconds of a step, in a block of `num_steps` after a few others."""
        ...


class Loops(Protocol):
    """The module of a framework."""

    LOOPS: Mapping[str, type[Loop]]


class FreshLoop:
    """A network that is made and trained in another process for each block."""

    def __init__(self, framework: str, name: str) -> None:
        options = ["--network", name, "--block"]
        self._command = [sys.executable, "-m", "benchmarks.loops", framework, *options]

    def seconds(self, num_steps: int, *, guarded: bool) -> float:
        """Processor seconds of a step, in a block of `num_steps` after a few others."""
        block = "guarded" if guarded else "bare"
        command = [*self._command, block, "--steps", str(num_steps)]
        found = subprocess.run(command, check=True, capture_output=True, text=True)
        return float(found.stdout)


def measure(loop: Loop, num_turns: int, seconds: float) -> tuple[list[float], list[float]]:
    """Seconds of a step in each block, bare and guarded."""
    num_steps = max(8, round(seconds / loop.seconds(8, guarded=False)))
    found: dict[bool, list[float]] = {False: [], True: []}
    for turn in range(num_turns + 1):
        # By turns, as the second block of a pair has the caches of the first one.
        for guarded in (False, True) if turn % 2 else (True, False):
            took = loop.seconds(num_steps, guarded=guarded)
            if turn:  # the first turn warms up
                found[guarded].append(took)
    return found[False], found[True]


def quartiles(values: list[float], form: str) -> str:
    """Median and quartiles."""
    low, middle, high = (form.format(value) for value in statistics.quantiles(values, n=4))
    return f"{middle} ({low} to {high})"


def row(name: str, bare: list[float], guarded: list[float]) -> str:
    """One row of the table."""
    pairs = list(zip(bare, guarded, strict=True))
    step = f"{statistics.median(bare) * 1e3:.3g} ms"
    added = quartiles([1e6 * (with_guard - without) for without, with_guard in pairs], "{:.0f}")
    ratio = quartiles([with_guard / without for without, with_guard in pairs], "{:.3f}")
    return f"| {name} | {step} | {added} | {ratio} | {os.getloadavg()[0]:.1f} |"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.loops")
    parser.add_argument("framework", choices=("torch", "jax"))
    parser.add_argument("--network", nargs="+", metavar="NAME", help="some of the networks")
    parser.add_argument("--turns", type=int, default=20, metavar="N", help="pairs of blocks")
    parser.add_argument("--seconds", type=float, default=0.5, metavar="S", help="of a bare block")
    parser.add_argument("--fresh", action="store_true", help="a process for each block")
    parser.add_argument("--block", choices=("bare", "guarded"), help="print seconds of one block")
    parser.add_argument("--steps", type=int, default=100, metavar="N", help="of this block")
    options = parser.parse_args()
    loops: Loops = importlib.import_module(f"benchmarks.loops_{options.framework}")
    names = options.network or list(loops.LOOPS)
    unknown = [name for name in names if name not in loops.LOOPS]
    if unknown:
        parser.error(f"unknown networks: {unknown}; there are {list(loops.LOOPS)}")
    if options.block:
        guarded = options.block == "guarded"
        print(loops.LOOPS[names[0]]().seconds(options.steps, guarded=guarded))
        return
    print("| network | bare step | added, us | ratio | load |")
    print("| --- | --- | --- | --- | --- |")
    for name in names:
        loop = FreshLoop(options.framework, name) if options.fresh else loops.LOOPS[name]()
        print(row(name, *measure(loop, options.turns, options.seconds)), flush=True)


if __name__ == "__main__":
    main()
