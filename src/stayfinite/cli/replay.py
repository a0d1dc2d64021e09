"""`stayfinite replay`."""

from __future__ import annotations

from pathlib import Path

import click

from stayfinite.runner.program import UserProgram
from stayfinite.runner.replay import ReplayRun


@click.command(
    short_help="Run the failing step of a saved incident again, changed or not.",
    context_settings={"ignore_unknown_options": True},
)
@click.argument("incident", type=click.Path(path_type=Path))
@click.argument("args", nargs=-1, type=click.UNPROCESSED, metavar="[ARGS...]")
@click.option(
    "--script",
    metavar="SCRIPT",
    help="The training script. It is run up to the first step of the training that the incident "
    "is of. ARGS are passed to it; those with the name of an option of this command go after --.",
)
@click.option(
    "--change",
    "changes",
    multiple=True,
    metavar="CHANGE",
    help="learning-rate=/10, learning-rate=0.001, clipnorm=1, clipvalue=0.5, dtype=float64, "
    "without-samples=3,7, source (the diff of the incident, on a copy of the file in memory) or "
    "fix (the fix of the incident). May be repeated.",
)
@click.option(
    "--step-from",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Take the state from the folder of another incident, or tensors of state or batch from a "
    "safetensors file, by name. May be repeated.",
)
@click.option(
    "--times",
    type=click.IntRange(1, 1000),
    default=1,
    metavar="N",
    show_default=True,
    help="Run the step N times, to see whether it is non-finite each time.",
)
@click.option(
    "--json",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the result to FILE.",
)
def replay(
    incident: Path,
    args: tuple[str, ...],
    script: str | None,
    changes: tuple[str, ...],
    step_from: tuple[Path, ...],
    times: int,
    json: Path | None,
) -> ReplayRun:
    """Run the saved step of INCIDENT again, op by op, on its state and batch; nothing is trained.

    Without --script the model is made of its config, if it has objects of Keras only; a training
    without Keras needs its script. The exit code
    is 0 if loss, gradients and new state are finite, 3 if not, and 2 if the step cannot be run.
    """
    if script is None and args:
        raise click.UsageError(f"Got unexpected extra argument ({args[0]}); it needs --script.")
    program = None if script is None else UserProgram(script, args)
    return ReplayRun(
        incident, program, changes=changes, step_from=step_from, times=times, json=json
    )
