"""`stayfinite run`."""

from __future__ import annotations

from pathlib import Path

import click

from stayfinite.runner.program import UserProgram
from stayfinite.runner.run import GuardedRun


@click.command(
    short_help="Run a script with every keras.Model in it guarded.",
    context_settings={"allow_interspersed_args": False},
)
@click.option(
    "-m",
    "is_module",
    is_flag=True,
    help="SCRIPT is the name of a module, run as python -m runs it.",
)
@click.option(
    "--policy",
    type=click.Choice(["stop"]),
    default="stop",
    show_default=True,
    help="What to do at a bad step: stop keeps the weights of the last good step and explains.",
)
@click.option(
    "--keep",
    type=click.Path(path_type=Path),
    default=Path("stayfinite-out"),
    metavar="DIR",
    show_default=True,
    help="Where incidents and last good weights go.",
)
@click.option(
    "--json",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write what happened as JSON, also when nothing did.",
)
@click.option(
    "--unguarded-ok",
    is_flag=True,
    help="Where the guard cannot attach, say so and let the training run without it.",
)
@click.argument("script")
@click.argument("args", nargs=-1, type=click.UNPROCESSED)
def run(
    script: str,
    args: tuple[str, ...],
    is_module: bool,
    policy: str,
    keep: Path,
    json: Path | None,
    unguarded_ok: bool,
) -> GuardedRun:
    """Run SCRIPT as `python SCRIPT ARGS...` does, with every keras.Model in it guarded.

    Everything after SCRIPT belongs to the script. The exit code is the script's own, or 3 when a
    non-finite step stopped it.
    """
    program = UserProgram(script, args, is_module)
    return GuardedRun(program, policy=policy, keep=keep, json=json, unguarded_ok=unguarded_ok)
