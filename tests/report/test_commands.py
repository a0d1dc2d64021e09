"""The commands on a page are those that can run the step again."""

from __future__ import annotations

import dataclasses
import shlex
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

import pytest

from stayfinite.files import limits
from stayfinite.report.html.commands import Rerun, commands
from stayfinite.report.step_record import StepRecord, read_record, script_args, write_record

from .incidents import BAD_TARGET, SQRT

DIFF = dataclasses.replace(SQRT, script="my train.py")
assert DIFF.fix is not None and DIFF.fix.diff


def replays(incident, rerun):
    texts = [command.text for command in commands(incident, rerun)]
    return [shlex.split(text)[3:] for text in texts if text.startswith("stayfinite replay")]


def test_arguments_of_the_script_are_passed_on():
    args = ("--lr", "0.1", "", "a b", "$(x)")
    script = ["--script", "my train.py"]
    assert replays(DIFF, Rerun(False, args)) == [
        [*script, "--", *args],
        [*script, "--change", "fix", "--", *args],
    ]
    assert replays(DIFF, Rerun(False, ())) == [script, [*script, "--change", "fix"]]


@pytest.mark.parametrize(
    "incident, rerun, expected",
    [
        (DIFF, None, []),
        (DIFF, Rerun(False, None), []),
        (DIFF, Rerun(False, ("a\nb",)), []),
        (DIFF, Rerun(True, None), [[]]),  # a diff is of a script
        (BAD_TARGET, Rerun(True, None), [[], ["--change", "fix"]]),
        (dataclasses.replace(DIFF, script=None), Rerun(False, ()), []),
    ],
)
def test_what_cannot_work_is_not_shown(incident, rerun, expected):
    assert replays(incident, rerun) == expected


@pytest.mark.parametrize(
    "file, spec, expected",
    [
        ("train.py", None, ("--lr", "0.1")),
        ("folder/__main__.py", "__main__", ("--lr", "0.1")),
        ("package/train.py", "package.train", None),
        ("<stdin>", None, None),
        (None, None, None),
    ],
)
def test_arguments_are_those_of_a_script(monkeypatch, file, spec, expected):
    main = ModuleType("__main__")
    if file is not None:
        main.__file__ = file
    main.__spec__ = None if spec is None else ModuleSpec(spec, None)
    monkeypatch.setitem(sys.modules, "__main__", main)
    monkeypatch.setattr(sys, "argv", ["train.py", "--lr", "0.1"])
    assert script_args() == expected
    monkeypatch.setattr(sys, "argv", ["train.py", "x" * limits.ARGUMENTS])
    assert script_args() is None


def test_arguments_on_disk(tmp_path):
    write_record(tmp_path, StepRecord((), None, None, ("--name", "ä b")))
    assert read_record(tmp_path).args == ("--name", "ä b")
