"""Settings of every test, and data that several rooms train on."""

from __future__ import annotations

import gc
import importlib
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import hypothesis
import pytest

# The suite runs once per backend, each in a process of its own; this is the one without a choice.
os.environ.setdefault("KERAS_BACKEND", "jax")
# An internal error fails the test, in the processes that it starts too.
os.environ.setdefault("STAYFINITE_STRICT", "1")

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"

# Most of the time on JAX is spent on compiling, in many processes, the same small operations.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(ROOT / ".pytest_cache" / "jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")

# Each search for live functions, and each collection, looks at all objects that are not frozen.
# Those of the frameworks are most of them, and none is of a test. What does not need Keras is also
# tested where it is not installed.
if importlib.util.find_spec("keras") is not None:
    importlib.import_module("keras")
gc.collect()
gc.freeze()

# `make test` draws the same few examples each time; `make test-all` draws many, and others.
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, max_examples=25)
hypothesis.settings.register_profile("full", deadline=None, max_examples=1000)
hypothesis.settings.load_profile("ci")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Make `slow_on` the mark `slow` where the backend is one of those it names."""
    backend = os.environ["KERAS_BACKEND"]
    for item in items:
        if any(backend in mark.args for mark in item.iter_markers("slow_on")):
            item.add_marker(pytest.mark.slow)


@pytest.fixture
def without_trials(monkeypatch, request):
    """An explanation has its cause and samples, and no trial, fix or figure.

    These take two thirds of its time, most of it for compiling. `make test-all` has them here, too.
    """
    if request.config.getoption("markexpr") != "not slow":
        return
    pipeline = importlib.import_module("stayfinite.explanation.pipeline")
    monkeypatch.setattr(pipeline, "try_advice", lambda *step: pipeline.Advice(()))
    monkeypatch.setattr(pipeline, "find_source_fix", lambda *step: pipeline.FixSearch(None))
    monkeypatch.setattr(pipeline, "find_remedy", lambda context: pipeline.RemedySearch())
    monkeypatch.setattr(pipeline, "measure_recent_steps", lambda *step: None)


@pytest.fixture(scope="session")
def videos(tmp_path_factory):
    """Six classes of five short videos each."""
    folder = tmp_path_factory.mktemp("videos")
    make = EXAMPLES / "motion_videos.py"
    options = ["--per-class", "5", "--frames", "8", "--side", "32"]
    subprocess.run([sys.executable, str(make), str(folder), *options], check=True)
    return folder


@pytest.fixture(scope="session")
def digits(tmp_path_factory):
    """The handwritten digits of scikit-learn as files, a folder a class."""
    folder = tmp_path_factory.mktemp("digits")
    subprocess.run([sys.executable, str(EXAMPLES / "digit_images.py"), str(folder)], check=True)
    return folder


@pytest.fixture(scope="session")
def characters(tmp_path_factory):
    """Letters in the fonts of matplotlib, a folder a letter."""
    folder = tmp_path_factory.mktemp("characters")
    make = EXAMPLES / "character_images.py"
    subprocess.run([sys.executable, str(make), str(folder), "--per-letter", "12"], check=True)
    return folder
