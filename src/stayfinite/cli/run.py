"""`stayfinite run`."""

from __future__ import annotations

from pathlib import Path

import click

from stayfinite.cli.completion import a_file
from stayfinite.runner.program import UserProgram
from stayfinite.runner.run import MAX_BAD_STEPS, POLICIES, GuardedRun


@click.command(
    short_help="Run a script with every training guarded.",
    context_settings={"allow_interspersed_args": False},
)
@click.option(
    "-m",
    "is_module",
    is_flag=True,
    help="Treat SCRIPT as a module name, as python -m does.",
)
@click.option(
    "--policy",
    type=click.Choice(POLICIES),
    default="stop",
    show_default=True,
    help="Action at a bad step. stop: keep the weights of the last good step and print a report. "
    "skip: leave the step out and go on. rollback: go on from the last good state with the "
    "learning rate, the clipping or the samples that the trials proved. repair: put the source fix "
    "that was proved to have the right value into the running program and make the step again. "
    "Without such a proof, rollback and repair stop.",
)
@click.option(
    "--max-bad-steps",
    type=click.IntRange(min=1),
    default=MAX_BAD_STEPS,
    metavar="N",
    show_default=True,
    help="Number of bad steps in a row that ends the training under every policy.",
)
@click.option(
    "--keep",
    type=click.Path(path_type=Path),
    default=Path("stayfinite-out"),
    metavar="DIR",
    show_default=True,
    help="Folder for incidents and last good weights.",
)
@click.option(
    "--json",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write exit code, number of steps and incidents to FILE, with or without an incident.",
)
@click.option(
    "--html",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the report as a page in one file to FILE, with or without an incident.",
)
@click.option(
    "--unguarded-ok",
    is_flag=True,
    help="Run a training without the guard if it cannot attach, instead of stopping.",
)
@click.option(
    "--log-metrics",
    is_flag=True,
    help="Add gradient_norm, loss_scale and num_bad_steps to the logs of each epoch, so that "
    "TensorBoard and other callbacks show them.",
)
@click.option(
    "--strict",
    is_flag=True,
    help="In a training loop over torch.optim, stop also at a step whose loss is not finite while "
    "all its gradients are. Without it there is one line about the first such step.",
)
@click.argument("script", shell_complete=a_file)
@click.argument("args", nargs=-1, type=click.UNPROCESSED, shell_complete=a_file)
def run(
    script: str,
    args: tuple[str, ...],
    is_module: bool,
    policy: str,
    max_bad_steps: int,
    keep: Path,
    json: Path | None,
    html: Path | None,
    unguarded_ok: bool,
    log_metrics: bool,
    strict: bool,
) -> GuardedRun:
    """Run SCRIPT as `python SCRIPT ARGS...` does, with every training guarded.

    That is every keras.Model, every loop over torch.optim, every loop over an optimizer of
    Keras, and on JAX every step under jax.jit, and every update outside of it, by an optimizer
    of Keras, optax, flax nnx or equinox.

    All arguments after SCRIPT are passed to the script. The exit code is that of the script, or 3
    if a non-finite step stopped it.
    """
    program = UserProgram(script, args, is_module)
    own = {name for option in click.get_current_context().command.params for name in option.opts}
    names = dict.fromkeys(each.partition("=")[0] for each in args)
    return GuardedRun(
        program,
        policy=policy,
        max_bad_steps=max_bad_steps,
        keep=keep,
        json=json,
        html=html,
        unguarded_ok=unguarded_ok,
        log_metrics=log_metrics,
        strict=strict,
        passed_on=tuple(name for name in names if name.startswith("--") and name in own),
    )
