"""Every cause has a page, and the two programs on it do what the page says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest

from stayfinite.diagnose.finding import CauseName
from stayfinite.diagnose.pages import pages
from tests import warm

PAGES = pages()
# No op shows it: it is found by running the step again, so that no program can have it.
BY_REPLAY = {"not-reproduced"}
FENCE = re.compile(r"^## (\w+)\n\n```python\n(.*?)```$", re.MULTILINE | re.DOTALL)
# Keras is loaded once for both programs of a page; each has its own `__main__`-like namespace.
BOTH = """
import contextlib, runpy
import stayfinite
with contextlib.suppress(stayfinite.NonFiniteError):
    runpy.run_path("fails.py")
runpy.run_path("passes.py")
"""


def programs(page: str) -> dict[str, str]:
    return dict(FENCE.findall(page))


def guarded(folder: Path, script: str) -> dict[str, Any]:
    done = warm.stayfinite(folder, "run", "--json", "run.json", script)
    run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    assert done.returncode == run["exit_code"], done.stderr
    return run


def test_every_cause_has_a_page():
    assert set(PAGES) == set(get_args(CauseName))


@pytest.mark.parametrize("name", PAGES)
def test_page_has_its_parts(name):
    page = PAGES[name]
    assert page.startswith(f"# {name}\n\n")
    expected = set() if name in BY_REPLAY else {"Fails", "Passes"}
    assert programs(page).keys() == expected
    assert max(map(len, page.splitlines())) <= 100


@pytest.mark.parametrize("name", [name for name in PAGES if programs(PAGES[name])])
def test_failing_program_has_the_cause_and_passing_program_does_not(name, tmp_path):
    for kind, text in programs(PAGES[name]).items():
        (tmp_path / f"{kind.lower()}.py").write_text(text, encoding="utf-8")
    (tmp_path / "both.py").write_text(BOTH, encoding="utf-8")
    run = guarded(tmp_path, "both.py")
    # The first program stopped with the cause; the second went to its end.
    assert [incident["cause"]["name"] for incident in run["incidents"]] == [name]
    assert run["exit_code"] == 0
    failed_at = run["incidents"][0]["where"]["step"]
    assert run["num_steps"] >= failed_at + 1 + 8
    if name not in ("unknown", "divergence", "bad-update"):
        assert run["incidents"][0]["cause"]["certainty"] == "confirmed"


def test_failing_program_exits_3(tmp_path):
    text = programs(PAGES["singular-gradient"])["Fails"]
    (tmp_path / "fails.py").write_text(text, encoding="utf-8")
    assert guarded(tmp_path, "fails.py")["exit_code"] == 3
