"""Places in the sequences of generators: what two of them are apart is drawn by a third."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from stayfinite.frameworks.torch.plain.random_sequences import advanced, is_same_place


class OfTorch:
    def __init__(self):
        self.source = torch.Generator().manual_seed(3)

    def draw(self, number):
        return torch.rand(number, generator=self.source).tolist()

    def state(self):
        return self.source.get_state()

    def set(self, state):
        self.source.set_state(state)


class OfNumpy:
    def __init__(self):
        self.source = np.random.RandomState(3)

    def draw(self, number):
        return self.source.random_sample(number).tolist()

    def state(self):
        return self.source.get_state()

    def set(self, state):
        self.source.set_state(state)


class OfPython:
    def __init__(self):
        self.source = random.Random(3)

    def draw(self, number):
        return [self.source.random() for _ in range(number)]

    def state(self):
        return self.source.getstate()

    def set(self, state):
        self.source.setstate(state)


@pytest.mark.parametrize("kind", [OfTorch, OfNumpy, OfPython])
@pytest.mark.parametrize(("between", "own"), [(1, 3), (700, 624), (624, 0), (5000, 2000)])
@pytest.mark.parametrize("before", [0, 5, 312])
def test_a_state_before_the_last_draws_is_found(kind, before, between, own):
    training = kind()
    training.draw(before)
    noted = training.state()
    training.draw(between)
    begun, drawn = training.state(), training.draw(own)
    now = training.state()
    training.set(noted)
    training.draw(own)
    found = advanced(noted, training.state(), now)
    assert is_same_place(found, begun)
    training.set(found)
    assert training.draw(own) == drawn
    assert is_same_place(training.state(), now)


def test_states_of_two_sequences_are_told_apart(monkeypatch):
    monkeypatch.setattr("stayfinite.frameworks.torch.plain.random_sequences._MAX_BLOCKS", 5)
    first, other = OfTorch().state(), torch.Generator().manual_seed(4).get_state()
    assert advanced(first, first, other) is None
    assert not is_same_place(first, other)


def test_a_generator_of_another_kind_has_no_place():
    state = np.random.default_rng(3).bit_generator.state
    assert advanced(state, state, state) is None
    assert is_same_place(state, dict(state))
