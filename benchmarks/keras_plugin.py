"""A pytest plugin: the outcome of each test as a line of JSON and, if asked, every model guarded.

Loaded by `benchmarks.keras_tests`, into two processes that differ in `--guarded` alone.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from benchmarks.keras_outcomes import Outcome

MARKERS = ("requires_trainable_backend: of Keras", "multi_device: of Keras")
# What a test ends as, from the worst of its phases.
WORST_FIRST = ("failed", "skipped", "passed")


def pytest_addoption(parser):
    group = parser.getgroup("stayfinite")
    group.addoption("--outcomes", type=Path, required=True)
    group.addoption("--guarded", action="store_true")
    group.addoption("--keep", type=Path)


def pytest_configure(config):
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)
    config.pluginmanager.register(Outcomes(config.option.outcomes, *_session(config.option)))


def _session(option):
    if not option.guarded:
        return None, []
    from stayfinite.guard.session import Session

    notes = []
    session = Session("stop", option.keep, None, notes.append, unguarded_ok=True)
    session.install()
    return session, notes


class Outcomes:
    """Writes each test as soon as it is over, so that a crash loses none of those before it."""

    def __init__(self, path, session, notes):
        self._path = path
        self._session = session
        self._notes = notes
        self._phases = []
        self._message = ""
        self._before = (0, 0, 0)

    def pytest_runtest_logstart(self, nodeid):
        self._phases, self._message = [], ""
        self._before = self._counts()

    def pytest_runtest_logreport(self, report):
        self._phases.append(report.outcome)
        if report.failed and not self._message:
            self._message = _message(report)

    def pytest_runtest_logfinish(self, nodeid):
        steps, incidents, notes = self._before
        outcome = next(word for word in WORST_FIRST if word in self._phases)
        found = Outcome(nodeid, outcome, self._message)
        if self._session is not None:
            found = dataclasses.replace(
                found,
                num_guarded_steps=self._session.num_steps - steps,
                stops=tuple(i.cause.message for i in self._session.incidents[incidents:]),
                notes=tuple(self._notes[notes:]),
            )
        self._write(found)

    @pytest.hookimpl
    def pytest_collectreport(self, report):
        if report.failed:
            self._write(Outcome(report.nodeid, "not collected", _message(report)))

    def _counts(self):
        if self._session is None:
            return (0, 0, 0)
        session = self._session
        return session.num_steps, len(session.incidents), len(self._notes)

    def _write(self, outcome):
        with self._path.open("a", encoding="utf-8") as lines:
            print(json.dumps(dataclasses.asdict(outcome)), file=lines)


def _message(report):
    crash = getattr(report.longrepr, "reprcrash", None)
    text = str(report.longrepr) if crash is None else crash.message
    lines = text.strip().splitlines()
    raised = [line[1:].strip() for line in lines if line.startswith("E ")]
    return (raised or lines or [""])[-1 if raised else 0][:300]
