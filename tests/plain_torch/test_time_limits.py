"""The limit of the search for a fix: how it is measured, and what is said at its end."""

from __future__ import annotations

import pytest
import torch

import stayfinite
from stayfinite.experiments import fix_search
from stayfinite.experiments.time_limit import TimeLimit


@pytest.mark.parametrize(
    ("clock", "processor", "remaining"),
    [
        (9.0, 2.0, 3.0),  # a busy machine
        (4.0, 16.0, 1.0),  # a step on several threads
        (36.0, 1.0, -1.0),  # a step that waits
    ],
)
def test_limits_are_of_processor_time_with_a_larger_one_by_the_clock(clock, processor, remaining):
    clocks, processors = iter([0.0, clock, clock]), iter([0.0, processor])
    limit = TimeLimit(5.0, lambda: next(clocks), lambda: next(processors))
    assert limit.remaining == remaining


def test_a_search_that_ends_at_its_limit_says_what_it_has_left_out(monkeypatch, tmp_path):
    monkeypatch.setattr(fix_search, "_SECONDS", 0.0)
    weight = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.SGD([weight], lr=0.1)
    with pytest.raises(stayfinite.NonFiniteError) as caught, stayfinite.watching(keep=tmp_path):
        for number in range(3):
            x = torch.ones(4, 3) if number < 2 else torch.zeros(4, 3)
            loss = torch.sqrt((x * weight).square().sum(-1)).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    incident = caught.value.incident
    assert incident.fix is None or not incident.fix.verified
    [note] = [note for note in incident.notes if "the search for a fix" in note]
    assert "other forms of the formula" in note and "usual edits" in note
