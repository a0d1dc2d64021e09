"""Which axis is the batch, told by a second run with another number of samples."""

from __future__ import annotations

import pytest

from stayfinite.frameworks.recording.axes import batch_axes, other_size
from stayfinite.frameworks.recording.places import NOWHERE
from stayfinite.frameworks.recording.recording import RecordedOp, Shape


def op(operands, results, *, forward=None):
    return RecordedOp("op", operands, results, NOWHERE, forward is not None, forward)


def shapes(*sizes):
    return [Shape(size, "float32") for size in sizes]


@pytest.mark.parametrize(("samples", "expected"), [(1, 2), (2, 3), (3, 2), (32, 31)])
def test_second_size_never_is_one_sample(samples, expected):
    assert other_size(samples) == expected


def test_axis_that_follows_the_number_of_samples():
    ops = [op((0,), (1,)), op((1,), (2,)), op((2,), (3,)), op((3,), (4,))]
    one = shapes((8, 3), (3, 8), (3,), (8, 8), (24,))
    two = shapes((7, 3), (3, 7), (3,), (7, 7), (21,))
    assert batch_axes(ops, one, {0: 0}, 8, two) == {0: 0, 1: 1, 3: 0}


def test_size_that_is_the_number_of_samples_by_chance_is_not_the_batch():
    ops = [op((0,), (1,))]
    assert batch_axes(ops, shapes((8, 2), (8,)), {0: 0}, 8, shapes((7, 2), (8,))) == {0: 0}


def test_derivative_has_the_axis_of_the_forward_value_of_its_shape():
    ops = [op((0,), (1,)), op((1,), (2,), forward=0)]
    one = shapes((8, 3), (8,), (8,))
    assert batch_axes(ops, one, {0: 0}, 8, shapes((7, 3), (7,)))[2] == 0


def test_without_a_second_run_the_axis_is_inherited():
    ops = [op((0,), (1,)), op((1,), (2,))]
    assert batch_axes(ops, shapes((8, 3), (8, 5), (3, 5)), {0: 0}, 8, []) == {0: 0, 1: 0}
