"""The page of the commands, made of the parsers of the command line."""

from __future__ import annotations

import html
import inspect
import re

import click

from stayfinite.cli import cli

# A paragraph that click does not wrap.
_VERBATIM = re.compile(r"\x08\n(.*?)(?=\n\n|\Z)", re.DOTALL)
_TOP = """# Commands

`python -m stayfinite` is the same command. Every command has `--help`. `stayfinite --version`
prints the version. The exit codes are in [the table at the end](#exit-codes).
"""
_EXIT_CODES = """
## Exit codes

| command | exit code |
| --- | --- |
| `run` | that of the script; 3 if a bad step ended it; 2 for a wrong option or a missing script |
| `explain`, `rule`, `completion` | 0; 2 if the incident or cause does not exist, or is damaged |
| `replay` | 0 if the step is finite; 3 if not; 2 if it cannot be run |
| `verify` | 0 if all files are finite; 1 if one is not; 2 if one cannot be read |
| `train` | 0; 3 if a non-finite step stopped it; 2 if the data or an option cannot be used |
| `lab` | 0, however the configurations ended; 2 if SPEC cannot be used |

Ctrl-C gives 130, as in a shell. While a bad step is explained, it ends the explanation only: the
report of what is known by then is printed and kept, and the exit code is 3. A second Ctrl-C gives
130.
"""


def page() -> str:
    """The Markdown of the page."""
    sections = [_section(context) for context in contexts()]
    return "\n".join([_TOP, *sections, _EXIT_CODES])


def contexts() -> list[click.Context]:
    """A context for each command that takes arguments, in the order in which they are defined."""
    found: list[click.Context] = []

    def visit(command: click.Command, context: click.Context) -> None:
        if isinstance(command, click.Group):
            for name, inner in command.commands.items():
                visit(inner, click.Context(inner, info_name=name, parent=context))
        else:
            found.append(context)

    visit(cli, click.Context(cli, info_name="stayfinite"))
    return found


def _section(context: click.Context) -> str:
    command = context.command
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    records = [
        record
        for parameter in command.params
        if isinstance(parameter, click.Option)
        and (record := parameter.get_help_record(context)) is not None
    ]
    options = "\n\n".join(f"`{names}`\n:   {html.escape(text)}" for names, text in records)
    text = _VERBATIM.sub(r"```text\n\1\n```", inspect.cleandoc(command.help or ""))
    return f"## {context.command_path}\n\n```text\n{usage}\n```\n\n{text}\n\n{options}\n"
