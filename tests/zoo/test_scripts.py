"""The files of the zoo, without running them: can each be scored, and has each its twin?"""

import ast

import pytest

from zoo.case import ALL_BACKENDS, read_case, read_control
from zoo.collect import HERE, case_files
from zoo.header import BEGIN, MARK

CASES = case_files()
CONTROLS = sorted((HERE / "controls").glob("*.py"))


def named(path):
    return f"{path.parent.name}/{path.stem}"


@pytest.mark.parametrize("path", CASES, ids=named)
def test_case(path):
    case = read_case(path)
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert case.twin.exists(), "a case has a twin, the same training written right"


@pytest.mark.parametrize("path", CONTROLS, ids=named)
def test_control(path):
    assert set(read_control(path).backends) <= set(ALL_BACKENDS)
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


def test_twins_and_controls_have_no_answer():
    twins = sorted((HERE / "cases").glob("*/*_fixed.py"))
    assert {path.with_name(f"{path.stem.removesuffix('_fixed')}.py") for path in twins} <= set(
        CASES
    )
    for path in twins:
        text = path.read_text(encoding="utf-8")
        assert BEGIN not in text, path
        assert MARK not in text, path


def test_scripts_do_not_know_the_guard():
    for path in HERE.glob("c*/**/*.py"):
        assert "stayfinite" not in path.read_text(encoding="utf-8"), path
