"""Each command line of the documents is one that the command accepts."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from stayfinite.cli import cli
from tests.docs.examples import examples_of

ROOT = Path(__file__).parents[2]
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "src").rglob("*.md")),
    *sorted((ROOT / "zoo").glob("*.md")),
]


def lines_of(page: Path) -> list[str]:
    """The command lines in the fences of a page."""
    found = []
    for example in examples_of(page.read_text(encoding="utf-8")):
        if example.language in ("sh", "console"):
            joined = re.sub(r"\\\n\s*", " ", example.text)
            found += re.findall(
                r"^(?:\$ )?(?:\w+=\w+ )?(stayfinite [^\n#|]+)", joined, re.MULTILINE
            )
    return found


# `stayfinite run --json FILE` in a sentence, which need not be whole.
SPAN = re.compile(r"`stayfinite (\w+) [^`]*?(--[\w-]+)[^`]*`")
SPANS = {
    span.groups() for page in PAGES for span in SPAN.finditer(page.read_text(encoding="utf-8"))
}
LINES = sorted({line.strip() for page in PAGES for line in lines_of(page)})


def parse(line: str) -> None:
    """Parse `line` as `stayfinite` does.

    Raises:
        click.UsageError: it is refused.
    """
    words = [word for word in shlex.split(line)[1:] if word not in ("...", "[ARGS...]")]
    if {"--help", "--version"} & set(words):
        return
    command: click.Command = cli
    context = click.Context(cli, info_name="stayfinite")
    while isinstance(command, click.Group):
        name, command, words = command.resolve_command(context, words)
        assert command is not None
        context = click.Context(command, info_name=name, parent=context)
    command.make_context(context.info_name, words, parent=context.parent)


def test_lines_are_found():
    assert len(LINES) > 20


def test_options_in_sentences_exist():
    assert len(SPANS) > 3
    for verb, option in SPANS:
        names = {name for parameter in cli.commands[verb].params for name in parameter.opts}
        assert option in names | {"--help"}, (verb, option)


@pytest.mark.parametrize("line", LINES)
def test_line_is_accepted(line):
    parse(line)


@pytest.mark.parametrize(
    "line", ["stayfinite run --polcy skip train.py", "stayfinite lab", "stayfinite train resnet d"]
)
def test_other_line_is_refused(line):
    with pytest.raises(click.UsageError):
        parse(line)
