"""`python -m zoo`: list the zoo, or ask tools about it."""

from __future__ import annotations

import datetime
import os
import shlex
import sys
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress

from zoo.case import ALL_BACKENDS
from zoo.collect import Zoo, collect
from zoo.guarded import STAYFINITE
from zoo.header import BadHeader
from zoo.peers.asking import tool
from zoo.peers.names import PEERS
from zoo.pool import Pool
from zoo.reading import CannotReadError, read
from zoo.running import TIMEOUT_SECONDS, environment
from zoo.scoring import Score, score_all
from zoo.table import tables
from zoo.writing import as_json, markdown, show

TOOLS = {STAYFINITE.name: STAYFINITE} | {name: tool(peer) for name, peer in PEERS.items()}


@click.group()
def zoo() -> None:
    """Trainings that go non-finite, and what tools make of them."""


@zoo.command("list")
@click.option("--only", default="*", metavar="GLOB", help="Only ids like this.")
def list_scripts(only: str) -> None:
    """Print the id of each script, its cause and its backends."""
    found = _collect(only)
    rows = [(case.id, case.cause, case.backends) for case in found.cases]
    rows += [(control.id, "control", control.backends) for control in found.controls]
    width = max((len(name) for name, _, _ in rows), default=0)
    for name, cause, backends in rows:
        click.echo(f"{name:{width}}  {cause:18}  {' '.join(backends)}")


@zoo.command()
@click.option(
    "--backend",
    "backends",
    multiple=True,
    type=click.Choice(ALL_BACKENDS),
    help="May be repeated; default: the one that KERAS_BACKEND says.",
)
@click.option(
    "--tool",
    "names",
    multiple=True,
    default=("stayfinite",),
    show_default=True,
    type=click.Choice(list(TOOLS)),
    help="May be repeated.",
)
@click.option("--only", default="*", metavar="GLOB", help="Only ids like this, `*` being any text.")
@click.option(
    "--python",
    "pythons",
    multiple=True,
    metavar="BACKEND=PATH",
    help="Interpreter for a backend; default: that of `make test`, or else this one.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=1),
    default=TIMEOUT_SECONDS,
    show_default=True,
    help="Seconds that one script may take.",
)
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Side by side.")
@click.option(
    "--warm", is_flag=True, help="Fork the runs from a process that has loaded the library."
)
@click.option("--cases-only", is_flag=True, help="Leave twins and controls out.")
@click.option("--wall", is_flag=True, help="Also train twins and controls without the tool.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), metavar="FILE")
@click.option("--markdown", "markdown_file", type=click.Path(path_type=Path), metavar="FILE")
def score(
    backends: tuple[str, ...],
    names: tuple[str, ...],
    only: str,
    pythons: tuple[str, ...],
    timeout: float,
    jobs: int,
    warm: bool,
    cases_only: bool,
    wall: bool,
    json_file: Path | None,
    markdown_file: Path | None,
) -> None:
    """Run the zoo under one or more tools and print what they found."""
    found = _collect(only)
    if not found.cases and not found.controls:
        raise click.UsageError(f"no id is like {only!r}: `python -m zoo list` shows them")
    pool = Pool() if warm else None
    asked = [
        (TOOLS[name], environment(backend, _pythons(pythons).get(backend), timeout, pool))
        for name in names
        for backend in _backends(backends)
        if backend in TOOLS[name].backends
    ]
    if not asked:
        raise click.UsageError(f"{', '.join(names)} is not for {', '.join(_backends(backends))}")
    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task("scripts")

        def report(done: int, total: int, line: str) -> None:
            progress.update(bar, completed=done, total=total)
            if line:
                console.print(
                    f"{done}/{total} {line}", markup=False, highlight=False, soft_wrap=True
                )

        scores = score_all(found, asked, jobs, wall, not cases_only, report)
    _write(scores, json_file, markdown_file)


@zoo.command("table")
@click.argument(
    "files",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)
@click.option("--markdown", "markdown_file", type=click.Path(path_type=Path), metavar="FILE")
def table(files: tuple[Path, ...], markdown_file: Path | None) -> None:
    """Print the tables of scores that were written with `score --json`, put together."""
    try:
        scores = read(files, _collect("*"), TOOLS)
    except CannotReadError as error:
        raise click.ClickException(str(error)) from None
    _write(scores, None, markdown_file)


def _write(scores: list[Score], json_file: Path | None, markdown_file: Path | None) -> None:
    made = tables(scores)
    show(made, Console(width=None if sys.stdout.isatty() else 220))
    if json_file is not None:
        json_file.write_text(as_json(scores), encoding="utf-8")
    if markdown_file is not None:
        command = shlex.join(["python", "-m", "zoo", *sys.argv[1:]])
        page = markdown(made, command, datetime.date.today())
        markdown_file.write_text(page, encoding="utf-8")


def _collect(only: str) -> Zoo:
    try:
        return collect(only)
    except BadHeader as error:
        raise click.ClickException(str(error)) from None


def _backends(given: tuple[str, ...]) -> tuple[str, ...]:
    backend = os.environ.get("KERAS_BACKEND")
    if not given and backend not in ALL_BACKENDS:
        raise click.UsageError("say which backend: set KERAS_BACKEND or pass --backend")
    return given or (str(backend),)


def _pythons(given: tuple[str, ...]) -> dict[str, str]:
    """What `--python` says, by backend."""
    found = dict(choice.partition("=")[::2] for choice in given)
    for backend in found:
        if backend not in ALL_BACKENDS:
            raise click.UsageError(f"--python is {backend!r}: expected BACKEND=PATH")
    return found


if __name__ == "__main__":
    zoo(prog_name="python -m zoo")
