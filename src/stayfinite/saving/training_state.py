"""Make a checkpoint of a training between two steps, and restore a training from one."""

from __future__ import annotations

import zlib
from collections.abc import Collection
from typing import Any

import keras
import numpy as np

from stayfinite.checkpoints.stored import may_be_saved
from stayfinite.errors import UsageError
from stayfinite.frameworks.keras import random_states
from stayfinite.frameworks.keras.epochs import DataMoment, DataOrigin, DataPlace
from stayfinite.frameworks.keras.model_subject import KerasModel
from stayfinite.frameworks.keras.sources import SourceState
from stayfinite.frameworks.subject import state_variables
from stayfinite.saving.callback_state import CallbackState, CallbackStates
from stayfinite.saving.checkpoint_files import Checkpoint
from stayfinite.saving.infinite_values import may_be_infinite

_GROUPS = ("trainable", "non_trainable", "optimizer", "metrics")
# Values of each weight in the fingerprint of a model.
_FINGERPRINT = 1024

Arrays = dict[str, np.ndarray]


def taken(
    model: Any,
    place: DataPlace,
    step: int,
    callbacks: CallbackStates,
    *,
    began_with: int | None,
    ended: bool,
    stopped: bool,
) -> Checkpoint:
    """Copy the present state to the host.

    Args:
        began_with: The `fingerprint` of the model at the beginning of the training.
        ended: Whether the last epoch has been made.
        stopped: Whether a callback has ended the training before.
    """
    arrays: Arrays = {}
    names: dict[str, list[str]] = {}
    for group, variables in _groups(model):
        names[group] = [str(variable.path) for variable in variables]
        for n, variable in enumerate(variables):
            arrays[f"{group}/{n}"] = np.array(keras.ops.convert_to_numpy(variable))
    _put_all(arrays, "random", random_states.present())
    _put_all(arrays, "begin", place.begin)
    moments = {"first_batch": place.origin.first_batch, "making": place.origin.making}
    for name, moment in moments.items():
        if moment is not None:
            _put_all(arrays, f"{name}/random", moment.random)
            _put_all(arrays, f"{name}/source", moment.source.arrays)
            if moment.prepared is not None:
                _put_all(arrays, f"{name}/prepared", moment.prepared.arrays)
    if place.source is not None:
        _put_all(arrays, "source", place.source.arrays)
    of_callbacks = callbacks.present()
    for path, values in of_callbacks.arrays.items():
        _put_all(arrays, f"callbacks/{path}", {str(n): value for n, value in enumerate(values)})
    facts = {
        "backend": keras.backend.backend(),
        "variables": names,
        "began_with": began_with,
        "ended": ended,
        "stopped": stopped,
        "epoch": place.epoch,
        "calls": place.calls,
        "num_epochs": place.num_epochs,
        "num_drawn": place.num_drawn,
        "sources": {name: moment.source.plain for name, moment in moments.items() if moment},
        "prepared": {
            name: moment.prepared.plain
            for name, moment in moments.items()
            if moment is not None and moment.prepared is not None
        },
        "source": None if place.source is None else place.source.plain,
        "callbacks": of_callbacks.plain,
        "callback_arrays": {path: len(values) for path, values in of_callbacks.arrays.items()},
    }
    return Checkpoint(step, arrays, facts)


def fingerprint(model: Any) -> int | None:
    """A checksum of the first values of each weight; None for a model that is not built yet."""
    if not model.built:
        return None
    checksum = 0
    for variable in model.trainable_variables:
        values = np.asarray(keras.ops.convert_to_numpy(variable)).reshape(-1)[:_FINGERPRINT]
        checksum = zlib.crc32(np.ascontiguousarray(values).tobytes(), checksum)
    return checksum


def not_finite(checkpoint: Checkpoint, model: Any) -> str | None:
    """The name of a variable of `model` that may not be saved with its values; None if all may."""
    ids = may_be_infinite(model)
    variables = (*model.trainable_variables, *model.non_trainable_variables)
    finite = {str(each.path) for each in variables if id(each) not in ids}
    for group, paths in checkpoint.facts["variables"].items():
        for n, path in enumerate(paths):
            is_free = group in ("trainable", "non_trainable") and str(path) not in finite
            if not may_be_saved(checkpoint.arrays[f"{group}/{n}"], may_be_infinite=is_free):
                return str(path)
    return None


def has_extremes(checkpoint: Checkpoint) -> bool:
    """Whether a weight, statistic or variable of the optimizer has a square beyond float32."""
    limit = np.sqrt(np.finfo(np.float32).max)
    for group in ("trainable", "non_trainable", "optimizer"):
        for n in range(len(checkpoint.facts["variables"].get(group, []))):
            values = checkpoint.arrays[f"{group}/{n}"]
            if values.dtype.kind in "fV" and bool(np.any(np.abs(values.astype("float64")) > limit)):
                return True
    return False


def place_of(checkpoint: Checkpoint) -> DataPlace:
    """The place in the data at which the checkpoint was made."""
    facts, arrays = checkpoint.facts, checkpoint.arrays
    moments = {}
    for name, plain in facts["sources"].items():
        prepared = facts["prepared"].get(name)
        moments[name] = DataMoment(
            _under(arrays, f"{name}/random"),
            SourceState(_under(arrays, f"{name}/source"), plain),
            prepared and SourceState(_under(arrays, f"{name}/prepared"), prepared),
        )
    source = facts["source"]
    return DataPlace(
        facts["epoch"],
        facts["calls"],
        facts["num_epochs"],
        facts["num_drawn"],
        DataOrigin(moments["first_batch"], moments.get("making")),
        None if source is None else SourceState(_under(arrays, "source"), source),
        _under(arrays, "begin"),
    )


def put_variables_back(checkpoint: Checkpoint, model: Any) -> None:
    """Set the variables of `model` to those of the checkpoint."""
    for group, variables in _groups(model):
        for n, variable in enumerate(variables):
            variable.assign(checkpoint.arrays[f"{group}/{n}"])


def put_callbacks_back(
    checkpoint: Checkpoint, callbacks: CallbackStates, but: Collection[str] = ()
) -> None:
    """Set the callbacks and the random generators to their state in the checkpoint.

    The generators of Python and NumPy whose names are in `but` stay as they are.
    """
    arrays = {
        path: [checkpoint.arrays[f"callbacks/{path}/{n}"] for n in range(number)]
        for path, number in checkpoint.facts["callback_arrays"].items()
    }
    callbacks.restore(CallbackState(checkpoint.facts["callbacks"], arrays))
    random_states.restore(_under(checkpoint.arrays, "random"), but)


def require_same_model(checkpoint: Checkpoint, model: Any, where: object) -> None:
    """Compare the variables of a checkpoint with those of `model`, by order, shape and dtype.

    Raises:
        UsageError: they differ, or the checkpoint is one of another backend.
    """
    backend = checkpoint.facts["backend"]
    if backend != keras.backend.backend():
        raise UsageError(
            f"{where} is a checkpoint of a training on {backend}, this one is on "
            f"{keras.backend.backend()}; pass another directory, or set KERAS_BACKEND={backend}"
        )
    for group, variables in _groups(model):
        paths = checkpoint.facts["variables"].get(group, [])
        if len(paths) != len(variables):
            raise _of_another_model(
                where,
                f"it has {len(paths)} variables of the kind {group}, the model has "
                f"{len(variables)}",
            )
        for n, (path, variable) in enumerate(zip(paths, variables, strict=True)):
            saved = checkpoint.arrays[f"{group}/{n}"]
            there = np.asarray(keras.ops.convert_to_numpy(variable))
            if (saved.shape, saved.dtype) != (there.shape, there.dtype):
                raise _of_another_model(
                    where,
                    f"its {path} is {saved.dtype}{list(saved.shape)}, {variable.path} of the "
                    f"model is {there.dtype}{list(there.shape)}",
                )


def _of_another_model(where: object, why: str) -> UsageError:
    return UsageError(
        f"{where} is a checkpoint of another model: {why}; pass another directory, or delete it"
    )


def _groups(model: Any) -> list[tuple[str, list[Any]]]:
    return list(zip(_GROUPS, state_variables(KerasModel(model)), strict=True))


def _put_all(arrays: Arrays, prefix: str, values: Arrays) -> None:
    arrays.update({f"{prefix}/{name}": value for name, value in values.items()})


def _under(arrays: Arrays, prefix: str) -> Arrays:
    begin = f"{prefix}/"
    return {name[len(begin) :]: value for name, value in arrays.items() if name.startswith(begin)}
