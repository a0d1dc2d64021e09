"""Large batches: what is kept of them to compare a bad step with is in a file."""

from __future__ import annotations

import importlib

import keras
import numpy as np
import pytest

import stayfinite
from stayfinite.frameworks import disks, filed_batch, heavy, host_copies, recorder
from stayfinite.frameworks.filed_batch import BatchFile, FiledBatch
from stayfinite.frameworks.kept_in_memory import CopyKind, KeptInMemory
from tests import versions
from tests.guard import nets


@pytest.fixture(autouse=True)
def every_batch_is_large(monkeypatch, tmp_path):
    guards = importlib.import_module(f"stayfinite.frameworks.{keras.backend.backend()}.guard")
    for module in (recorder, guards):
        monkeypatch.setattr(module, "MAX_COPIED_BYTES", 0, raising=False)
    monkeypatch.setattr(heavy, "MIN_BATCH_BUDGET", 0)
    monkeypatch.setattr(filed_batch, "_SMALL", 0)
    monkeypatch.setattr(disks, "_MIN_IN_MEMORY", 0)
    monkeypatch.setattr(disks, "_PART_OF_RESIDENT", 0)
    monkeypatch.setattr(host_copies, "folders_with_room", lambda num_bytes: [str(tmp_path)])


class Kept(keras.callbacks.Callback):
    """The data that are kept after each step but the first."""

    def on_train_batch_end(self, batch, logs=None):
        kept = [recorded.data for recorded in self.model.train_function._recorder._steps]
        if batch:
            self.data = kept


def fit(model, x, y, callbacks):
    model.fit(x, y, batch_size=nets.BATCH, shuffle=False, verbose=0, callbacks=callbacks)


@versions.GIVES_ARRAYS_OF_JAX
def test_healthy_batch_is_read_from_its_file(tmp_path):
    x, y = nets.table()
    kept = Kept()
    fit(nets.mlp(), x, y, [stayfinite.Guard(keep=tmp_path), kept])
    (data,) = kept.data
    assert isinstance(data, FiledBatch)
    found, _ = (keras.ops.convert_to_numpy(array) for array in data.load()[:2])
    starts = range(0, len(x), nets.BATCH)
    assert any(np.array_equal(found, x[start : start + nets.BATCH]) for start in starts)


@pytest.mark.slow_on("jax", "tensorflow")
def test_explanation_reads_the_healthy_batch(tmp_path):
    x, y = nets.table()
    x[2 * nets.BATCH + 3, 1] = np.inf
    with pytest.raises(stayfinite.NonFiniteError) as caught:
        fit(nets.mlp(), x, y, [stayfinite.Guard(keep=tmp_path)])
    incident = caught.value.incident
    assert (incident.where.batch, incident.cause.name) == (2, "bad-input")
    assert incident.origin.samples == (3,)


class Unread(recorder.KnownFlag):
    """Is ready once it is waited for."""

    def is_ready(self):
        return False


def test_large_batches_of_two_steps_are_held_at_most(monkeypatch):
    monkeypatch.setattr(recorder, "MAX_UNREAD_BYTES", 100)
    steps, array = recorder.Recorder(), np.zeros(9)
    lent = {"own": np.copy, "may_borrow": lambda data: True, "is_lent": True}
    for step in range(4):
        next(steps.recording(iter([array]), **lent))
        assert not steps.is_borrowing
        steps.expect(Unread(-1))
        assert steps.first_bad(wait=False) is None
        assert steps.num_judged == step
    # The copy of the first step is the one that is due; the last one is not judged.
    kept = steps._all()
    assert [recorded.step for recorded in kept] == [0, 3]
    assert [recorded.data is array for recorded in kept] == [False, True]


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="others give tensors, or wait anyway")
@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("other", [None, "after a step", "before the guard"])
def test_step_on_arrays_waits_only_where_code_of_the_user_may_follow(tmp_path, shuffle, other):
    x, y = nets.table()
    model, unread = nets.mlp(), []

    class Ready(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            steps = self.model.train_function._recorder
            expect = steps.expect

            def noted(flag):
                unread.append(steps.is_borrowing)
                expect(flag)

            steps.expect = noted

    class Steps(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            x[:] = 0

    callbacks = [stayfinite.Guard(keep=tmp_path), Ready()]
    callbacks += [Steps()] if other == "after a step" else []
    callbacks = [keras.callbacks.EarlyStopping("loss"), *callbacks]
    if other == "before the guard":
        callbacks.insert(0, keras.callbacks.LambdaCallback())
    options = {"batch_size": nets.BATCH, "verbose": 0, "callbacks": callbacks}
    model.fit(x, y, shuffle=shuffle, **options)
    assert unread
    assert set(unread) == {other is not None}
    assert not any(each.is_borrowed for each in model.train_function._recorder._all())


def test_nested_batch():
    keep = BatchFile(None, KeptInMemory().of(CopyKind.BATCH)).keep
    array = np.arange(6.0).reshape(2, 3)
    data = ({"a": array, "b": [array + 1, None]}, 5)
    kept = keep(data, lambda leaf: leaf)
    array[:] = 0
    (found, number) = kept.load()
    assert np.array_equal(found["a"], np.arange(6.0).reshape(2, 3))
    assert (found["b"][1], number) == (None, 5)
    # Not copied by NumPy.
    assert keep((np.array([{}]),), lambda leaf: leaf) is None


def test_batch_that_the_disk_has_lost_is_left_out(monkeypatch):
    steps = recorder.Recorder()
    next(steps.recording(iter([np.zeros(9)]), may_borrow=lambda data: True))
    steps.expect(recorder.KnownFlag(-1))
    assert steps.first_bad(wait=True) is None
    next(steps.recording(iter([np.ones(9)])))
    monkeypatch.setattr("os.preadv", lambda *arguments: 0)
    assert steps.take(1)[1] == []
