"""The reports on the pages of the causes are those that are printed today."""

from __future__ import annotations

import pytest

from docs.site.reports import kept, reports
from stayfinite.diagnose.pages import pages


def test_each_cause_that_a_script_shows_has_a_report():
    # No script shows a step that differs from run to run.
    assert kept().keys() == pages().keys() - {"not-reproduced"}
    assert all(text.startswith(f"error[{name}]: ") for name, text in kept().items())


@pytest.mark.slow
def test_reports_are_those_of_today():
    assert reports() == kept()
