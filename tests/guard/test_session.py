"""The session of `stayfinite run`: which watches are its own, and what is left after it."""

from __future__ import annotations

import errno
import gc
import weakref

import keras
import numpy as np
import pytest

from stayfinite.errors import UsageError
from stayfinite.frameworks.kept_in_memory import CopyKind
from stayfinite.guard.callback import Guard
from stayfinite.guard.policy import Policy
from stayfinite.guard.registry import REGISTRY, Registry
from stayfinite.guard.session import GuardSession
from tests.guard import nets

# What is kept of a model does not depend on the framework.
pytestmark = pytest.mark.slow_on("jax", "tensorflow")


def session_in(folder):
    return GuardSession(Policy(), folder, "train.py", print)


@pytest.fixture
def session(tmp_path):
    session = session_in(tmp_path)
    session.install()
    yield session
    session.close()


def fitted(model=None):
    model = model or nets.mlp()
    x, y = nets.table()
    model.fit(x, y, batch_size=nets.BATCH, verbose=0)
    return model


def test_models_that_train_after_the_session_are_not_its_own(tmp_path):
    hooks = keras.callbacks.CallbackList.set_model, keras.Model.make_train_function
    session = session_in(tmp_path)
    session.install()
    model = fitted()
    assert session.num_steps == nets.ROWS // nets.BATCH
    session.close()
    assert hooks == (keras.callbacks.CallbackList.set_model, keras.Model.make_train_function)
    fitted()
    assert session.num_steps == nets.ROWS // nets.BATCH
    fitted(model)
    assert session.num_steps == 2 * nets.ROWS // nets.BATCH


def test_what_is_told_of_copies_in_memory_is_noted_for_the_run_file(session, tmp_path, capsys):
    watch = REGISTRY.watch_of(nets.mlp(), tmp_path, None)
    tell = watch.recorder.in_memory.of(CopyKind.BATCH)
    for _ in range(2):
        tell(3 * 2**20, OSError(errno.ENOSPC, "the disk is full", "/tmp"))
    (note,) = session.notes
    assert note.startswith(
        "the copy of a batch, 3 MiB, is kept in memory: the disk is full (/tmp);"
    )
    assert capsys.readouterr().out == f"{note}\n"


def test_a_second_session_is_refused(session, tmp_path):
    with pytest.raises(UsageError, match="guards this process already"):
        session_in(tmp_path).install()


def test_a_model_has_one_watch_for_all_its_guards(tmp_path):
    model = nets.mlp()
    x, y = nets.table()
    for _ in range(2):
        model.fit(x, y, batch_size=nets.BATCH, verbose=0, callbacks=[Guard(keep=tmp_path)])
    watch = REGISTRY.watch_of(model, tmp_path, None)
    assert watch.recorder.num_steps == 2 * nets.ROWS // nets.BATCH


def test_a_registry_lets_go_of_a_model_that_is_deleted(tmp_path):
    registry = Registry()
    model = nets.mlp()
    watch = weakref.ref(registry.watch_of(model, tmp_path, None))
    assert np.isfinite(model.get_weights()[0]).all()
    del model
    gc.collect()
    assert watch() is None
