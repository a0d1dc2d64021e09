"""Sentences on what stands behind a cause."""

from stayfinite.report.wording import evidence

FILES = [("a.png", "b.png"), ("c.png",), ("d.png",), ("e.png",), ("f.png",)]


def test_files_of_a_sample():
    assert evidence.files((1,), FILES) == ["sample 1 was read from c.png"]
    assert evidence.files((0,), FILES) == ["sample 0 was read from a.png and b.png"]


def test_a_few_samples_are_named_and_the_others_counted():
    assert evidence.files((1, 2), FILES) == ["sample 1 was read from c.png, sample 2 from d.png"]
    assert evidence.files((0, 1, 2, 3, 4), FILES) == [
        "sample 0 was read from a.png and b.png, sample 1 from c.png, sample 2 from d.png, "
        "and 2 more from others"
    ]


def test_a_sample_without_an_entry_says_that_the_files_are_others():
    assert evidence.files((5,), FILES) == []
    assert evidence.files((), FILES) == []
