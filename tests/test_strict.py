"""Internal errors are notes for users and errors in tests."""

from __future__ import annotations

import pytest

from stayfinite import strict


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
