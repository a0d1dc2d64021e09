import pytest

from benchmarks import blocks


def test_variants_take_turns_forwards_and_backwards():
    order = []

    def block(name):
        return lambda: order.append(name) or 1.0

    blocks.in_turns({name: block(name) for name in ("bare", "a", "b")}, 2, "bare")
    assert order == ["bare", "a", "bare", "b", "b", "bare", "a", "bare"]


def test_ratios_are_those_of_neighbours():
    # The computer becomes half as fast after the first round; the ratios do not see it.
    seconds = {"bare": iter([1.0, 2.0]), "a": iter([1.5, 3.0])}
    times = blocks.in_turns({name: lambda s=s: next(s) for name, s in seconds.items()}, 2, "bare")
    bare, a = blocks.timings(times, "bare")
    assert (bare.variant, bare.ratios, bare.step_seconds) == ("bare", (), 1.5)
    assert a.ratios == (1.5, 1.5)
    assert a.ratio == pytest.approx(1.5)
