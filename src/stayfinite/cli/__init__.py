"""The command `stayfinite`. Each verb has a file that parses, calls and chooses a renderer."""

from __future__ import annotations

from collections.abc import Sequence

import click

import stayfinite
from stayfinite.cli.completion import completion
from stayfinite.cli.explain import explain
from stayfinite.cli.lab import lab
from stayfinite.cli.refusal import USAGE, refuse
from stayfinite.cli.replay import replay
from stayfinite.cli.rule import rule
from stayfinite.cli.run import run
from stayfinite.cli.train import train
from stayfinite.cli.verify import verify
from stayfinite.errors import UsageError
from stayfinite.runner.keras_import import import_failure
from stayfinite.runner.replay import ReplayRun
from stayfinite.runner.run import GuardedRun

# The exit code that a shell reports after Ctrl-C.
INTERRUPTED = 130


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(stayfinite.__version__, package_name="stayfinite")
def cli() -> None:
    """Stop a training before a NaN reaches the weights; report its line and its cause.

    To begin: stayfinite run train.py
    """


for verb in (run, explain, replay, verify, rule, train, lab, completion):
    cli.add_command(verb)


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line `args` (default: that of the process) and return the exit code.

    Raises:
        BaseException: For `stayfinite run`, the exception that ended the script.
    """
    outcome = _parse(args)
    # The script runs outside of click, which would handle exceptions of the script as its own.
    if isinstance(outcome, ReplayRun):
        try:
            return outcome()
        except UsageError as error:
            return refuse(str(error))
    return outcome() if isinstance(outcome, GuardedRun) else outcome


def _parse(args: Sequence[str] | None) -> int | GuardedRun | ReplayRun:
    try:
        outcome: int | GuardedRun | ReplayRun = cli.main(
            args=None if args is None else list(args),
            prog_name="stayfinite",
            standalone_mode=False,
            windows_expand_args=False,
        )
        return outcome
    except UsageError as error:
        return refuse(str(error))
    except (ImportError, ValueError) as error:
        if isinstance(error, ModuleNotFoundError) and error.name == "keras":
            return refuse("this command needs Keras, which is not installed; run pip install keras")
        reason = import_failure(error)
        if reason is None:
            raise
        return refuse(reason)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return USAGE
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "stayfinite"
        # click lists choices on lines of their own.
        message = " ".join(error.format_message().split())
        end = "" if message.endswith((".", "?")) else "."
        return refuse(f"{message}{end} See: {command} --help")
    except click.ClickException as error:
        return refuse(error.format_message())
    except click.Abort:
        return INTERRUPTED
