"""The decoding of clips is compared with a loop that really does the same."""

import numpy as np
import pytest

from benchmarks import decoding


@pytest.mark.slow
def test_clips_are_measured(tmp_path):
    decoding.encode(tmp_path, 2)
    answer = decoding.measure(tmp_path, num_blocks=2, num_epochs=3)
    assert (answer["videos"], answer["left_out"]) == (2, [])
    assert [len(row["ratios"]) for row in answer["rows"]] == [0, 2, 0, 2]
    assert all(row["clips_a_second"] > 0 for row in answer["rows"])
    assert len(answer["resident_bytes"]) == 3
    assert "ClipDataset, 1 thread" in decoding.render(answer)


@pytest.mark.slow
def test_unequal_work_is_not_compared(tmp_path, monkeypatch):
    decoding.encode(tmp_path, 1)
    monkeypatch.setattr(decoding, "RESIZE", 120)
    dataset = decoding.clips_of(tmp_path)
    monkeypatch.setattr(decoding, "RESIZE", 128)
    with pytest.raises(AssertionError):
        decoding.check_equal(dataset)
    assert np.shape(dataset[0][0]) == (1, 16, 112, 112, 3)
