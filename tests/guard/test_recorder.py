"""The recorder: which flags the host reads, and which batches it remembers."""

from __future__ import annotations

import numpy as np

from stayfinite.frameworks.recorded_steps import is_frozen
from stayfinite.frameworks.recorder import (
    MAX_COPIED_BYTES,
    MAX_HEALTHY,
    MAX_HEALTHY_BYTES,
    MAX_PENDING,
    KnownFlag,
    Recorder,
)


class FakeFlag:
    """A flag that notes when it is read."""

    def __init__(self, *, ready: bool = False, first_bad: int = -1) -> None:
        self.ready = ready
        self.first_bad = first_bad
        self.reads = 0

    def is_ready(self) -> bool:
        return self.ready

    def __int__(self) -> int:
        self.reads += 1
        return self.first_bad


def make_steps(recorder, flags, num_bytes=4):
    batches = recorder.recording(iter([np.zeros(num_bytes, "uint8") for _ in flags]))
    for flag in flags:
        next(batches)
        recorder.expect(flag)


def num_healthy(recorder):
    """How many steps are remembered besides the last one."""
    _, healthy = recorder.take(recorder.num_steps - 1)
    return len(healthy)


def test_flag_that_is_not_ready_is_not_read():
    recorder, flags = Recorder(), [FakeFlag() for _ in range(MAX_PENDING)]
    make_steps(recorder, flags)
    assert recorder.first_bad(wait=False) is None
    assert [flag.reads for flag in flags] == [0] * MAX_PENDING


def test_ready_flags_are_read_in_order_up_to_the_first_that_is_not():
    recorder = Recorder()
    flags = [FakeFlag(ready=True), FakeFlag(ready=True), FakeFlag(), FakeFlag(ready=True)]
    make_steps(recorder, flags)
    assert recorder.first_bad(wait=False) is None
    assert [flag.reads for flag in flags] == [1, 1, 0, 0]


def test_long_queue_waits_for_its_oldest_only():
    recorder, flags = Recorder(), [FakeFlag() for _ in range(MAX_PENDING + 3)]
    make_steps(recorder, flags)
    assert recorder.first_bad(wait=False) is None
    assert [flag.reads for flag in flags] == [1] * 3 + [0] * MAX_PENDING


def test_at_the_end_of_an_epoch_all_are_read():
    recorder, flags = Recorder(), [FakeFlag() for _ in range(5)]
    make_steps(recorder, flags)
    assert recorder.first_bad(wait=True) is None
    assert [flag.reads for flag in flags] == [1] * 5


def test_bad_step_comes_with_its_own_batch_and_the_healthy_ones_newest_first():
    recorder = Recorder()
    recorder.begin_epoch(2)
    make_steps(recorder, [FakeFlag(ready=True) for _ in range(3)])
    make_steps(recorder, [FakeFlag(ready=True, first_bad=3) for _ in range(2)])
    assert recorder.first_bad(wait=False) == 3
    bad, healthy = recorder.take(3)
    assert (bad.step, bad.epoch, bad.batch) == (3, 2, 3)
    assert [recorded.step for recorded in healthy] == [2, 1, 0]
    # The step after the bad one never happened to the weights; its number is given again.
    assert recorder.num_steps == 4
    assert recorder.first_bad(wait=True) is None


def test_batches_count_from_0_in_each_epoch_and_not_at_all_outside_fit():
    recorder = Recorder()
    recorder.begin_epoch(0)
    make_steps(recorder, [FakeFlag(), FakeFlag()])
    recorder.begin_epoch(1)
    make_steps(recorder, [FakeFlag(first_bad=2)])
    assert recorder.first_bad(wait=True) == 2
    bad, _ = recorder.take(2)
    assert (bad.step, bad.epoch, bad.batch) == (2, 1, 0)
    recorder.begin_epoch(None)
    make_steps(recorder, [FakeFlag(first_bad=3)])
    assert recorder.first_bad(wait=True) == 3
    assert (recorder.take(3)[0].epoch, recorder.num_steps) == (None, 4)


def test_flag_of_several_steps_tells_about_all_of_them():
    recorder = Recorder()
    batches = recorder.recording(iter(np.zeros((4, 2))))
    for _ in range(4):
        next(batches)
    recorder.expect(FakeFlag(first_bad=2))
    assert recorder.first_bad(wait=True) == 2
    bad, healthy = recorder.take(2)
    assert (bad.step, [recorded.step for recorded in healthy]) == (2, [1, 0])


def test_few_healthy_batches_are_remembered():
    recorder = Recorder()
    make_steps(recorder, [FakeFlag(ready=True) for _ in range(30)])
    assert recorder.first_bad(wait=False) is None
    assert num_healthy(recorder) == MAX_HEALTHY - 1


def test_large_healthy_batches_are_remembered_up_to_a_limit_of_memory():
    recorder = Recorder()
    make_steps(recorder, [FakeFlag(ready=True) for _ in range(7)], MAX_HEALTHY_BYTES // 3)
    assert recorder.first_bad(wait=False) is None
    assert num_healthy(recorder) == 3 - 1


def test_unread_batches_are_never_forgotten():
    recorder = Recorder()
    make_steps(recorder, [FakeFlag() for _ in range(MAX_PENDING)])
    recorder.first_bad(wait=False)
    assert num_healthy(recorder) == MAX_PENDING - 1


def test_bytes_of_a_nested_batch_are_counted():
    recorder = Recorder()
    batch = ({"a": np.zeros(10, "uint8"), "b": [np.zeros(20, "uint8")]}, None)
    next(recorder.recording(iter([batch])))
    recorder.expect(FakeFlag(first_bad=0))
    recorder.first_bad(wait=True)
    assert recorder.take(0)[0].num_bytes == 30


def test_large_batch_of_others_is_kept_until_its_flag_is_read(monkeypatch):
    monkeypatch.setattr("stayfinite.frameworks.recorder.COPY_SHARE", 1e-9)
    recorder = Recorder()
    array = np.zeros(MAX_COPIED_BYTES + 1, "uint8")
    batches = recorder.recording(iter([array] * 3), own=np.copy, may_borrow=lambda _: True)
    kept = []
    for _ in range(3):
        next(batches)
        assert recorder.newest.data is array and recorder.is_borrowing
        recorder.expect(FakeFlag())
        assert recorder.first_bad(wait=True) is None
        assert not recorder.is_borrowing
        kept = recorder.after(-1)
    # The first was copied, to compare a bad step with. Another copy is not due yet.
    assert [recorded.step for recorded in kept] == [0]
    assert kept[0].data is not array


def test_bad_batch_of_others_is_taken_as_it_is():
    recorder = Recorder()
    make_steps(recorder, [FakeFlag(), FakeFlag()])
    array = np.zeros(MAX_COPIED_BYTES + 1, "uint8")
    next(recorder.recording(iter([array]), own=np.copy, may_borrow=lambda _: True))
    recorder.expect(FakeFlag(first_bad=2))
    assert recorder.first_bad(wait=True) == 2
    bad, healthy = recorder.take(2)
    assert bad.data is array
    assert [recorded.step for recorded in healthy] == [1, 0]


def test_only_what_nothing_can_write_to_is_frozen():
    array = np.zeros(4)
    view = array[1:]
    assert not is_frozen(view)
    view.flags.writeable = False
    assert not is_frozen(view)
    array.flags.writeable = False
    assert is_frozen(array[1:])
    assert is_frozen(np.frombuffer(b"1234", "uint8"))
    assert not is_frozen(np.frombuffer(bytearray(b"1234"), "uint8"))


def test_noted_steps_keep_their_epoch_and_place():
    recorder = Recorder()
    recorder.begin_epoch(3)
    next(recorder.recording(iter([np.zeros(2)])))
    for value in (1.0, 2.0):
        recorder.note(np.full(4, value))
    recorder.begin_epoch(None)
    noted = recorder.after(0)
    assert [(each.step, each.epoch, each.batch) for each in noted] == [(1, 3, 1), (2, 3, 2)]
    assert [(each.data[0], each.num_bytes) for each in noted] == [(1.0, 32), (2.0, 32)]
    assert recorder.num_steps == 3


def test_noted_steps_keep_their_numbers_where_later_ones_are_counted_before_they_are_noted():
    recorder = Recorder()
    recorder.note(np.full(2, 0))
    recorder.count.num_steps += 2
    recorder.begin_epoch(None)
    recorder.note_counted([np.full(2, 1), np.full(2, 2)])
    recorder.note(np.full(2, 3))
    assert [(each.step, each.data[0]) for each in recorder.after(-1)] == [(n, n) for n in range(4)]


def test_series_before_the_healthy_steps_are_dropped_as_they_are():
    recorder = Recorder()
    for first in range(0, 40, 10):
        for value in range(first, first + 10):
            recorder.note(np.full(2, value))
        recorder.record_noted()
    recorder.expect(KnownFlag(-1))
    recorder.note(np.full(2, 40))
    assert recorder.first_bad(wait=True) is None
    kept = recorder.after(-1)
    # The newest series has enough of them, and is kept whole.
    assert [each.step for each in kept] == [*range(30, 41)]
    assert [each.data[0] for each in kept] == [each.step for each in kept]
