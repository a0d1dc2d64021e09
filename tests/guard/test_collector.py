"""The garbage collector while a step is explained."""

from __future__ import annotations

import gc

import pytest

from stayfinite.guard.collector import without_full_collections


def test_young_objects_are_collected_and_old_ones_are_left_alone():
    before = gc.get_threshold()
    seen: list[int] = []

    def note(phase, info):
        if phase == "start":
            seen.append(info["generation"])

    gc.callbacks.append(note)
    try:
        with without_full_collections():
            # More new objects than all old ones, after which a full collection is usual; and
            # enough for young ones, as those that `gc.freeze` has set aside are not counted.
            kept = [[] for _ in range(100_000 + len(gc.get_objects()))]
            during = set(seen)
    finally:
        gc.callbacks.remove(note)
    assert kept
    assert during == {0, 1}
    assert gc.get_threshold() == before


def test_the_thresholds_come_back_after_an_exception():
    before = gc.get_threshold()
    with pytest.raises(KeyboardInterrupt), without_full_collections():
        raise KeyboardInterrupt
    assert gc.get_threshold() == before
