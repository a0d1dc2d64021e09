"""stayfinite as a tool of the zoo: `stayfinite run` and its run file.

Of a script in plain JAX, the compiled step is guarded: `zoo.guarded_jax`.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from zoo.answer import Answer, ProposedFix
from zoo.case import ALL_BACKENDS
from zoo.judging import ASPECTS
from zoo.patching import CannotApply, apply_diff
from zoo.running import Environment, Ran, copied, run
from zoo.tool import Tool

EXIT_NON_FINITE = 3


def ask(script: Path, on: Environment) -> Answer:
    """Train under the guard and read its first incident."""
    with copied(script) as copy:
        return train(copy, on)


def train(script: Path, on: Environment) -> Answer:
    """As `ask`, of the script itself and in its own folder."""
    run_file = script.parent / "run.json"
    module = "zoo.guarded_jax" if on.backend == "plain-jax" else "stayfinite"
    options = ["--json", run_file.name, "--keep", "kept"]
    ran = run(["-m", module, "run", *options, script.name], on, script.parent)
    try:
        told = json.loads(run_file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        trouble = ran.trouble or f"no run file: {error}"
        return Answer(False, ran.seconds, said=ran.last_line, trouble=trouble)
    return read(told, ran, script)


def read(told: dict[str, Any], ran: Ran, script: Path) -> Answer:
    """A run file as an answer; lines of other files than the script are left out."""
    if not told["incidents"]:
        return Answer(False, ran.seconds, said=ran.last_line, trouble=ran.trouble)
    incident = told["incidents"][0]
    origin, fix = incident["origin"], incident["fix"]
    in_script = origin["file"] and (script.parent / origin["file"]).resolve() == script.resolve()
    rows = origin["samples"]
    return Answer(
        stopped=True,
        wall_seconds=ran.seconds,
        step=incident["where"]["step"],
        cause=incident["cause"]["name"],
        lines=(origin["line"],) if in_script and origin["line"] else (),
        rows=None if rows is None else tuple(sorted(rows)),
        op=origin["op"],
        fix=fix and _fix(fix),
        report_seconds=incident.get("seconds"),
        said=incident["cause"]["message"],
        trouble=None if ran.exit_code == EXIT_NON_FINITE else ran.trouble or "exit code 0",
    )


def _fix(told: dict[str, Any]) -> ProposedFix:
    return ProposedFix(
        told["verified"],
        told["kind"],
        told["text"],
        told["diff"],
        value=told.get("value"),
        loss=told.get("loss"),
        reference_loss=told.get("reference_loss"),
    )


def mend(script: Path, on: Environment, answer: Answer) -> Answer:
    """Train again with the fix, if it is a diff that was called verified.

    It holds if the training then runs to its end and the guard has nothing to say.
    """
    fix = answer.fix
    if fix is None or fix.diff is None or not fix.verified:
        return answer
    with copied(script) as copy:
        try:
            apply_diff(fix.diff, copy)
        except CannotApply as error:
            return replace(answer, fix=replace(fix, holds=False, trouble=str(error)))
        again = train(copy, on)
    trouble = again.trouble
    if again.stopped:
        trouble = f"non-finite again, at step {again.step}: {again.said}"
    return replace(answer, fix=replace(fix, holds=trouble is None, trouble=trouble))


STAYFINITE = Tool(
    "stayfinite",
    ALL_BACKENDS,
    frozenset(ASPECTS),
    ask,
    mend,
)
