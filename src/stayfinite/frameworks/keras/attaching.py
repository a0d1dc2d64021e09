"""Whether a model's train function can be guarded, and the attempt."""

from __future__ import annotations

from typing import Any

from stayfinite.errors import CannotGuardError
from stayfinite.frameworks import base
from stayfinite.frameworks.recorder import Recorder


def attach(model: Any, recorder: Recorder, on_bad: Any) -> Any:
    """The model's train function with the sentinel inside; see `Backend.attach`.

    A train function of the user's own is left alone: what it does with the state is not known, so
    no promise about it could be kept.

    Raises:
        CannotGuardError: the model brings its own train function, or attaching failed.
    """
    if not _is_by_keras(type(model).make_train_function):
        raise CannotGuardError(
            f"{type(model).__name__} overrides make_train_function, so the guard cannot attach; "
            "override train_step instead"
        )
    present = vars(model).get("train_function")
    if present is not None and not _is_by_keras(present):
        raise CannotGuardError(
            f"{type(model).__name__} has a train_function of its own, so the guard cannot attach; "
            "override train_step instead"
        )
    try:
        return base.current().attach(model, recorder, on_bad)
    except CannotGuardError:
        raise
    except Exception as error:
        raise CannotGuardError(
            f"the guard cannot attach to {type(model).__name__}: {type(error).__name__}: {error}"
        ) from error


def _is_by_keras(function: Any) -> bool:
    module = str(getattr(function, "__module__", None) or type(function).__module__)
    return module.partition(".")[0] in ("keras", "stayfinite")
