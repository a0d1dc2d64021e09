"""Notices of a `SafeCheckpoint`, and of a model that is saved with values that are not finite."""

from __future__ import annotations

from pathlib import Path

from stayfinite.frameworks.data_limits import DataLimit, NotExact

_NOT_EXACT = {
    DataLimit.GENERATOR: (
        "the position of a generator cannot be saved: as many batches are drawn again, which is "
        "exact only if it gives the same ones; pass a PyDataset for an exact one"
    ),
    DataLimit.NO_SEED: (
        "TensorFlow has no seed, so the order of shuffled arrays cannot be repeated; call "
        "keras.utils.set_random_seed first for an exact one"
    ),
    DataLimit.DRAWN_AHEAD: (
        "on TensorFlow a PyDataset is asked for batches ahead of the steps, so one that changes "
        "at the end of an epoch of steps_per_epoch cannot be repeated; leave out steps_per_epoch "
        "for an exact one"
    ),
    DataLimit.LASTING_WORKERS: (
        "random numbers that the lasting workers of a DataLoader draw cannot be repeated; pass "
        "persistent_workers=False for an exact one"
    ),
    DataLimit.ITERATOR: (
        "the position of the iterator {name} of the data set cannot be saved; make it where an "
        "epoch begins for an exact one"
    ),
    DataLimit.WORKERS: (
        "data is made by several workers: random numbers that they draw cannot be repeated; pass "
        "workers=1 for an exact one"
    ),
}


def not_exact(why: NotExact) -> str:
    """A training that goes on may get other data than it would have had."""
    return _NOT_EXACT[why.limit].format(name=why.name)


def other_beginning(directory: Path) -> str:
    """The model began with other weights than the training in `directory`."""
    return (
        f"{directory} is of a training that began with other weights; set the seeds as before to "
        "go on to the same bits, or pass another directory for another training"
    )


def goes_on(directory: Path, step: int, epoch: int, num_epochs: int, num_calls: int) -> str:
    """The training goes on after `num_calls` steps of `epoch`, which is counted from 0."""
    return (
        f"goes on from {directory} after {step} steps, in epoch {epoch + 1} of {num_epochs} after "
        f"{num_calls} steps of it"
    )


def had_ended(directory: Path, step: int, epoch: int, num_epochs: int) -> str:
    """The training had ended, and no step is made."""
    return (
        f"the training in {directory} had ended after {step} steps, in epoch {epoch} of "
        f"{num_epochs}; its end is restored, and no step is made"
    )


def had_bad_step(path: Path) -> str:
    """A checkpoint is left out for a bad step that may come of it."""
    return f"{path} is left out, because a training had a bad step at once after it"


def not_whole(path: Path, error: Exception) -> str:
    """A checkpoint is left out for damage."""
    return f"{path} is left out, because it is not whole: {error}"


def begins_again() -> str:
    """Each checkpoint is left out, and the first one was soon after the beginning."""
    return "the training begins at epoch 0, because no other checkpoint is left"


def newest_after_all() -> str:
    """Each checkpoint is left out, and the first one was long after the beginning."""
    return "the newest is used after all, because no other checkpoint is left"


def not_finite(directory: Path, step: int, variable: str) -> str:
    """No checkpoint is written, as `variable` is not finite."""
    return (
        f"no checkpoint of step {step}, because {variable} is not finite; those in {directory} "
        "are kept"
    )


def not_written(directory: Path, step: int, error: OSError) -> str:
    """A checkpoint could not be written."""
    return (
        f"the checkpoint of step {step} could not be written to {directory} "
        f"({error.strerror or error}); the training goes on"
    )


def not_marked(path: Path, error: OSError) -> str:
    """A checkpoint that should be left out could not be marked."""
    return f"{path} could not be marked ({error.strerror or error})"


def not_saved(path: Path, name: str, num_others: int) -> str:
    """A model is not saved, so that the finite file at `path` stays."""
    return (
        f"{path}: the model was not saved, because {_not_finite(name, num_others)}; the file there "
        "is finite and was kept; pass another path to save the model all the same"
    )


def saved_all_the_same(path: Path, name: str, num_others: int) -> str:
    """A model is saved, though it is not finite: there was no finite file to keep."""
    what = _not_finite(name, num_others)
    return f"{path}: the model was saved, but {what}; load an earlier file, or train again"


def _not_finite(name: str, num_others: int) -> str:
    return f"{name} and {num_others} more are not finite" if num_others else f"{name} is not finite"
