"""Internal errors are notes for users and errors in tests."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from stayfinite import strict

PACKAGE = Path(strict.__file__).parent


def test_an_internal_error_is_a_note(monkeypatch):
    monkeypatch.delenv(strict.VARIABLE, raising=False)
    assert not strict.is_strict()
    note = strict.caught("the rule `overflow`", KeyError("x"))
    assert note == "the rule `overflow` failed: KeyError: 'x'"


def test_it_is_raised_in_strict_mode(monkeypatch):
    monkeypatch.setenv(strict.VARIABLE, "1")
    with pytest.raises(KeyError, match="x"):
        strict.caught("the rule `overflow`", KeyError("x"))


def test_an_error_is_internal_where_code_of_the_package_raised_it(monkeypatch):
    monkeypatch.setenv(strict.VARIABLE, "1")
    with pytest.raises(KeyError) as of_the_package:
        strict.caught("a rule", KeyError("x"))
    with pytest.raises(ValueError) as of_the_test:
        int("x")
    assert strict.is_internal(of_the_package.value)
    assert not strict.is_internal(of_the_test.value)
    assert not strict.is_internal(ValueError("not raised"))


def test_an_error_of_a_framework_is_none_of_the_package(monkeypatch):
    monkeypatch.setenv(strict.VARIABLE, "1")
    kind = type("NotFoundError", (Exception,), {"__module__": "tensorflow.python.framework"})
    with pytest.raises(kind) as caught:
        strict.caught("a trial", kind("no such index"))
    assert not strict.is_internal(caught.value)


# Two ask whether code of the user, or of a library, can be run at all; one prints the traceback.
_OTHERS = {"raises_on_bad_numbers", "_orientation", "_forked"}


def broad_handlers():
    for path in sorted(PACKAGE.rglob("*.py")):
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(function, ast.FunctionDef):
                continue
            for node in ast.walk(function):
                if isinstance(node, ast.ExceptHandler) and _is_broad(node.type):
                    yield f"{path.relative_to(PACKAGE)}:{node.lineno}", function.name, node


def _is_broad(kind):
    return kind is None or any(
        isinstance(part, ast.Name) and part.id in ("Exception", "BaseException")
        for part in ast.walk(kind)
    )


def test_a_handler_of_any_error_raises_or_reads_it():
    lost = [
        place
        for place, function, handler in broad_handlers()
        if function not in _OTHERS
        and handler.name is None
        and not any(isinstance(node, ast.Raise) for node in ast.walk(handler))
    ]
    assert not lost, f"an internal error is lost in {lost}; see `strict.is_internal`"
