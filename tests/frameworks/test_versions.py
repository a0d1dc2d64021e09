"""Which releases are supported, and what is said of others."""

from __future__ import annotations

import importlib
import re
import tomllib
from pathlib import Path

import keras
import pytest

from stayfinite.errors import CannotGuardError
from stayfinite.frameworks import base
from stayfinite.frameworks.keras.optimizer_bounds import CHECKED_KERAS

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def pinned(file, package):
    (found,) = re.findall(rf"^{package}==([\d.]+)$", (ROOT / file).read_text(), re.MULTILINE)
    return found


@pytest.mark.parametrize("version", ["3.7.0", "3.0.5", "2.15.0"])
def test_an_older_keras_is_refused_in_one_line(monkeypatch, version):
    monkeypatch.setattr(keras, "__version__", version)
    with pytest.raises(CannotGuardError, match=rf"Keras {version} is installed and 3\.8 or later"):
        base.current()


@pytest.mark.parametrize("version", ["3.8.0", "3.15.1", "3.99.0", "4.0.0.dev1"])
def test_a_newer_keras_is_not_refused(monkeypatch, version):
    monkeypatch.setattr(keras, "__version__", version)
    assert base.current().name == keras.backend.backend()


def test_a_framework_that_lacks_a_name_is_refused_in_one_line(monkeypatch):
    def fails(name):
        raise ImportError("cannot import name 'op_callbacks' from 'tensorflow.python'")

    monkeypatch.setattr(importlib, "import_module", fails)
    with pytest.raises(CannotGuardError, match="cannot import name 'op_callbacks'") as raised:
        base.current()
    assert keras.__version__ in str(raised.value)


def test_what_is_declared_is_what_is_checked_and_pinned():
    oldest = ".".join(map(str, base.OLDEST_KERAS))
    assert [f"keras>={oldest}"] == PROJECT["optional-dependencies"]["keras"]
    assert pinned("constraints-oldest.txt", "keras").startswith(f"{oldest}.")
    assert "<" not in PROJECT["requires-python"]
    for backend in ("jax", "tensorflow"):
        with_keras, declared = PROJECT["optional-dependencies"][backend]
        assert with_keras == "stayfinite[keras]"
        assert pinned("constraints-oldest.txt", backend).startswith(declared.partition(">=")[2])


@pytest.mark.parametrize(
    "file", ["constraints-oldest.txt", "constraints.txt", "constraints-newest.txt"]
)
def test_the_optimizer_bounds_were_checked_with_each_pinned_keras(file):
    major, minor, *_ = pinned(file, "keras").split(".")
    assert (int(major), int(minor)) in CHECKED_KERAS
