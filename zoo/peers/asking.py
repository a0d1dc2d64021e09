"""A peer as a tool of the zoo: run the launcher, read what it printed, in favour of the peer."""

from __future__ import annotations

import json
import re
from pathlib import Path

from zoo.answer import Answer
from zoo.peers.peer import Peer
from zoo.running import Environment, Ran, copied, run
from zoo.tool import Tool

# No peer speaks of a cause, of rows or of a fix.
TELLS = frozenset({"found", "step", "line"})


def tool(peer: Peer) -> Tool:
    """The peer, so that the zoo can ask it."""

    def ask(script: Path, on: Environment) -> Answer:
        with copied(script) as copy:
            arguments = ["-m", "zoo.peers.launcher", peer.name, "told.json", copy.name]
            ran = run(arguments, on, copy.parent)
            try:
                told = json.loads((copy.parent / "told.json").read_text(encoding="utf-8"))
            except (OSError, ValueError):
                told = {"step": None}
            return read(peer, ran, told["step"], script.name)

    return Tool(peer.name, peer.backends, TELLS, ask)


def read(peer: Peer, ran: Ran, step: int | None, script: str) -> Answer:
    """What was printed, as an answer. Every line of the script in it counts as named."""
    alarm = peer.alarm.search(ran.output)
    if alarm is None:
        return Answer(False, ran.seconds, said=ran.last_line, trouble=ran.trouble)
    ops = (found["op"] for found in peer.alarm.finditer(ran.output) if "op" in found.groupdict())
    return Answer(
        stopped=True,
        wall_seconds=ran.seconds,
        step=step,
        lines=named_lines(ran.output, script),
        op=next((op for op in ops if op and op not in ("jit", "pjit")), None),
        said=alarm[0],
    )


def named_lines(output: str, script: str) -> tuple[int, ...]:
    """The lines of a script that are named as Python (`"x.py", line 3`), JAX (`x.py:3`) and
    TensorFlow (`x.py (L3)`) do.
    """
    place = re.compile(rf"\b{re.escape(script)}(?:\", line |:| \(L)(\d+)")
    return tuple(sorted({int(number) for number in place.findall(output)}))
