"""The command as a whole: help, version, bad usage in one line."""

from __future__ import annotations

import errno
import os
import subprocess
import sys

import pytest

import stayfinite
from stayfinite.cli import cli, main

VERBS = ["completion", "explain", "lab", "replay", "rule", "run", "train", "verify"]


def test_help_names_every_verb(capsys):
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert sorted(cli.commands) == VERBS
    assert all(verb in out for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_a_verb(verb, capsys):
    assert main([verb, "--help"]) == 0
    assert f"Usage: stayfinite {verb}" in capsys.readouterr().out


def test_version(capsys):
    assert main(["--version"]) == 0
    assert stayfinite.__version__ in capsys.readouterr().out


@pytest.mark.parametrize("args", [["nope"], ["--nope"], ["explain"], ["verify"], ["run"]])
def test_bad_usage_is_one_line(args, capsys):
    assert main(args) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("stayfinite: ")
    assert len(captured.err.splitlines()) == 1
    assert "--help" in captured.err


def test_suggestion_of_a_verb_ends_as_a_question(capsys):
    assert main(["runn"]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.endswith("Did you mean 'run'? See: stayfinite --help")


@pytest.mark.parametrize("verb", ["explain", "replay", "verify"])
def test_path_that_cannot_be_looked_at(verb, capsys):
    assert main([verb, "x" * 300 + ".h5"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert os.strerror(errno.ENAMETOOLONG) in line


def test_no_arguments_shows_help(capsys):
    assert main([]) == 2
    assert "Commands:" in capsys.readouterr().err


@pytest.mark.parametrize(
    "how", [["-m", "stayfinite"], ["-c", "import stayfinite.cli as c; c.main()"]]
)
def test_as_a_process(how):
    done = subprocess.run(
        [sys.executable, *how, "--help"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0
    assert done.stdout.startswith("Usage: stayfinite")
