"""`model.save` and `save_weights` by way of a temporary file that is checked.

A finite file is never replaced by one that is not finite. Keras writes the content.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stayfinite.errors import UsageError
from stayfinite.files.hdf5_writing import errors_raised_at_end
from stayfinite.files.reading import is_file, is_there
from stayfinite.files.writing import folder_beside, in_errors, put_all
from stayfinite.frameworks.recording.notices import notify
from stayfinite.report.wording import checkpoints as notices

if TYPE_CHECKING:
    from stayfinite.checkpoints.counting import TensorCount

Save = Callable[..., Any]

_SUFFIXES = (".keras", ".h5", ".hdf5", ".weights.json")


_inside = threading.local()


class KeptFile(UsageError):
    """A model that is not finite was not saved, because a finite file is at its path."""


@contextlib.contextmanager
def refusals_as_warnings() -> Iterator[list[str]]:
    """Turn each refusal to save inside the block into a warning; yields the list of them.

    A callback uses it, because a refused file is no reason to end a training.
    """
    outer = getattr(_inside, "refusals", None)
    refusals: list[str] = []
    _inside.refusals = refusals
    try:
        yield refusals
    finally:
        _inside.refusals = outer


@contextlib.contextmanager
def as_it_is() -> Iterator[None]:
    """Save models inside the block without a check, as the report does."""
    outer = getattr(_inside, "is_saving", False)
    _inside.is_saving = True
    try:
        yield
    finally:
        _inside.is_saving = outer


def saving(plain: Save) -> Save:
    """`plain`, a function `(model, filepath, ...)` of Keras, by way of a temporary file."""

    def save(model: Any, filepath: Any, *args: Any, **kwargs: Any) -> Any:
        path = _local(filepath)
        may_overwrite = kwargs.get("overwrite", args[0] if args else True) is not False
        with errors_raised_at_end():
            # Keras asks whether it may overwrite a file that is there.
            in_place = path is None or (path.exists() and not may_overwrite)
            if path is None or in_place or getattr(_inside, "is_saving", False):
                return plain(model, filepath, *args, **kwargs)
            with as_it_is():
                return _save(
                    model, path, os.fspath(filepath), lambda new: plain(model, new, *args, **kwargs)
                )

    return save


def _local(filepath: Any) -> Path | None:
    """The path that is written; None if it is no file of this machine.

    A link stays a link, because its target is replaced.
    """
    if not isinstance(filepath, str | os.PathLike):
        return None
    name = os.fspath(filepath)
    if not isinstance(name, str) or "://" in name or not name.endswith(_SUFFIXES):
        return None
    path = Path(os.path.realpath(name))
    # Keras raises an error for a path of another kind, and for one in a missing folder.
    is_usable = is_file(path) or not is_there(path)
    return path if is_usable and os.access(path.parent, os.W_OK | os.X_OK) else None


def _save(model: Any, path: Path, name: str, write: Callable[[str], Any]) -> Any:
    with folder_beside(path) as folder, in_errors(name, folder / path.name):
        return _save_by_way_of(folder, model, path, write)


def _save_by_way_of(folder: Path, model: Any, path: Path, write: Callable[[str], Any]) -> Any:
    try:
        with errors_raised_at_end():
            result = write(str(folder / path.name))
        files = sorted(folder.iterdir(), key=lambda file: file.suffix == ".json")
        bad = [count for file in files for count in _non_finite(file)]
        if bad and not _has_only_kept_infinities(model):
            _refuse_or_warn(path, files, bad)
        # The shards of a model before the file that names them.
        put_all(files, path.parent)
        return result
    except KeptFile as refusal:
        refusals = getattr(_inside, "refusals", None)
        if refusals is None:
            raise
        refusals.append(str(refusal))
        notify(str(refusal))
        return None


def _non_finite(path: Path) -> list[TensorCount]:
    try:
        return [count for count in _counts(path) if not count.is_finite]
    except UsageError:
        return []  # a layer of the user may save objects that are no tensors


def _is_finite(path: Path) -> bool:
    """Whether there is a file that can be read and is finite."""
    try:
        return all(count.is_finite for count in _counts(path))
    except UsageError:
        return False


def _counts(path: Path) -> list[TensorCount]:
    # Imported here, because a training that saves nothing does not need it.
    from stayfinite.checkpoints.counting import verify

    # The list of shards has no tensors.
    return [] if path.suffix == ".json" else verify(path)


def _has_only_kept_infinities(model: Any) -> bool:
    """Whether all non-finite values are infinities that may be saved."""
    # Imported here, because a training without Keras has this file read, too.
    import keras

    from stayfinite.checkpoints.stored import may_be_saved
    from stayfinite.saving.infinite_values import may_be_infinite, written_variables

    ids = may_be_infinite(model)
    return all(
        may_be_saved(
            np.asarray(keras.ops.convert_to_numpy(variable)), may_be_infinite=id(variable) in ids
        )
        for variable in written_variables(model)
        if keras.backend.is_float_dtype(variable.dtype)
    )


def _refuse_or_warn(path: Path, files: list[Path], bad: list[TensorCount]) -> None:
    there = [path.parent / file.name for file in files]
    first, others = bad[0].name, len(bad) - 1
    if all(file.is_file() and _is_finite(file) for file in there):
        raise KeptFile(notices.not_saved(path, first, others))
    notify(notices.saved_all_the_same(path, first, others))
