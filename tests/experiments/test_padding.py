"""Batches whose masks have rows without a key, changed."""

from __future__ import annotations

import numpy as np

from stayfinite.experiments.changes import PaddingOnRight, UnmaskedRows
from stayfinite.experiments.remedies.padding import candidates
from stayfinite.frameworks.batch import Batch, BatchArray


def batch_of(**arrays):
    leaves = tuple(BatchArray("input", name, array) for name, array in arrays.items())

    def pack(values):
        return dict(zip(arrays, values, strict=True))

    return Batch(arrays, leaves, pack, np.asarray)


def test_each_row_begins_with_its_first_key():
    ids = np.array([[0, 0, 5, 6], [7, 8, 9, 1]])
    lengths = np.array([2, 4])
    batch = batch_of(input_ids=ids, attention_mask=(ids != 0).astype(np.int64), lengths=lengths)
    [(remedy, change)] = candidates(batch)
    assert remedy == PaddingOnRight("attention_mask", 1)
    assert change.batch.data["input_ids"].tolist() == [[5, 6, 0, 0], [7, 8, 9, 1]]
    assert change.batch.data["attention_mask"].tolist() == [[1, 1, 0, 0], [1, 1, 1, 1]]
    assert change.batch.data["lengths"] is lengths


def test_a_row_without_a_key_gets_every_key():
    scores = np.zeros((2, 1, 2, 2), np.float32)
    scores[0, 0, 1] = -np.inf
    scores[1, 0, 0, 1] = -np.inf
    [(remedy, change)] = candidates(batch_of(x=np.zeros((2, 2)), mask=scores))
    assert remedy == UnmaskedRows("mask", 1)
    assert change.batch.data["mask"][0].tolist() == [[[0, 0], [0, 0]]]
    assert change.batch.data["mask"][1, 0, 0, 1] == -np.inf


def test_a_batch_with_a_key_in_each_row_is_left():
    assert not list(candidates(batch_of(x=np.zeros((2, 3)), mask=np.eye(2, 3))))
