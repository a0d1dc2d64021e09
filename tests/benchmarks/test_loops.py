"""The table of `benchmarks.loops`."""

from benchmarks import loops


class Steps:
    """Steps of 1 ms, and of 1.5 ms where they are guarded."""

    def __init__(self):
        self.blocks = []

    def seconds(self, num_steps, *, guarded):
        self.blocks.append((num_steps, guarded))
        return 1.5e-3 if guarded else 1e-3


def test_both_are_measured_by_turns_and_compared_in_pairs():
    steps = Steps()
    bare, guarded = loops.measure(steps, 4, 0.1)
    assert (bare, guarded) == ([1e-3] * 4, [1.5e-3] * 4)
    assert steps.blocks[1:5] == [(100, True), (100, False), (100, False), (100, True)]
    row = loops.row("dense", bare, guarded)
    assert row.startswith("| dense | 1 ms | 500 (500 to 500) | 1.500 (1.500 to 1.500) | ")
