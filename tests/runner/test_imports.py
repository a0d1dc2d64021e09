"""The guard comes in with Keras: not before, not twice, and leaves nothing behind."""

from __future__ import annotations

import importlib
import sys

import pytest

from stayfinite.runner.keras_import import after_import


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A module `late_one` that can be imported, and is forgotten after the test."""
    (tmp_path / "late_one.py").write_text("READY = True\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    yield "late_one"
    sys.modules.pop("late_one", None)


def test_calls_once_after_the_module_has_run(module):
    seen = []
    after_import(module, lambda: seen.append(sys.modules[module].READY))
    assert module not in sys.modules
    importlib.import_module(module)
    importlib.import_module(module)
    assert seen == [True]


def test_leaves_nothing_behind(module):
    before = list(sys.meta_path)
    plain = importlib.import_module(module)
    del sys.modules[module]
    after_import(module, lambda: None)
    hooked = importlib.import_module(module)
    assert sys.meta_path == before
    assert type(hooked.__loader__) is type(plain.__loader__)
    assert hooked.__spec__.loader is hooked.__loader__
    assert hooked.__spec__ == plain.__spec__ or hooked.__spec__.origin == plain.__spec__.origin


def test_an_import_that_fails_may_be_tried_again(module, tmp_path):
    seen = []
    good = (tmp_path / "late_one.py").read_text()
    (tmp_path / "late_one.py").write_text("raise ImportError('no backend')\n")
    after_import(module, lambda: seen.append(1))
    with pytest.raises(ImportError, match="no backend"):
        importlib.import_module(module)
    (tmp_path / "late_one.py").write_text(good + "# longer, so that no cached bytecode is used\n")
    importlib.import_module(module)
    assert seen == [1]


def test_other_modules_are_none_of_its_business(module):
    after_import("never_imported", lambda: pytest.fail("called"))
    assert importlib.import_module(module).READY
    assert importlib.util.find_spec("late_one_s_missing_friend") is None


def test_missing_module_is_missing_as_ever(monkeypatch):
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    after_import("nowhere_to_be_found", lambda: pytest.fail("called"))
    with pytest.raises(ModuleNotFoundError, match="No module named 'nowhere_to_be_found'"):
        importlib.import_module("nowhere_to_be_found")


def test_module_that_is_there_already(module):
    importlib.import_module(module)
    seen = []
    after_import(module, lambda: seen.append(1))
    assert seen == [1]
