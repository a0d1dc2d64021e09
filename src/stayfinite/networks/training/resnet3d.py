"""The guarded training of a ResNet3D on a folder of videos."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

import stayfinite
from stayfinite.errors import UsageError
from stayfinite.networks.data.clip_transform import span
from stayfinite.networks.data.clips import ClipDataset
from stayfinite.networks.data.inspection import Videos, inspect_videos
from stayfinite.networks.data.items import DataSplit, Items, read_items, split_files
from stayfinite.networks.data.videos import SUFFIXES
from stayfinite.networks.training import figures, saving
from stayfinite.networks.training.folder import (
    OutputFolder,
    write_json,
    write_problems,
    write_table,
)
from stayfinite.networks.training.momentum import lower_momentum
from stayfinite.networks.training.page import write_page
from stayfinite.networks.training.progress import (
    KeepProgress,
    Progress,
    begin,
    best_epoch,
    load_last,
    numbers_of,
)
from stayfinite.networks.training.settings import DEPTHS, ResNet3DSettings

MONITOR = "val_loss"


@dataclass(frozen=True)
class Variation:
    """Changes of a training for an experiment: optimizer, training data, further callbacks."""

    optimizer: Callable[[float], Any] = keras.optimizers.Adam
    training_data: Callable[[Any], Any] = lambda clips: clips
    callbacks: tuple[Any, ...] = ()


def train(
    settings: ResNet3DSettings,
    out: Path,
    fresh: bool,
    say: Callable[[str], None],
    verbose: int = 1,
    variation: Variation | None = None,
) -> dict[str, float]:
    """Train until the last epoch or early stopping; then save the best epoch and load it back.

    Args:
        settings: Settings of the training.
        out: Folder for all files. An unfinished training in it is continued.
        fresh: Start a new training and ignore an earlier one in the folder.
        say: Called with lines for the user.
        verbose: As for `keras.Model.fit`.
        variation: Changes of the training for an experiment.

    Returns:
        The numbers of the best epoch: `"epoch"` and those of the history.

    Raises:
        UsageError: If the data or the folder cannot be used.
        NonFiniteError: If a step was non-finite; the files saved before are unchanged.
    """
    variation = variation or Variation()
    folder, progress = begin(out, settings, fresh)
    training, validation, test = datasets(settings, say)
    tested = () if test is None else test.problems
    write_problems(folder.problems, [*training.problems, *validation.problems, *tested])
    write_json(folder.classes, list(training.classes))
    if progress.model:
        model = load_last(folder, progress)
    else:
        model = build(settings, training.classes, variation.optimizer(settings.learning_rate))
    if progress.stopped or progress.epoch >= settings.epochs:
        say(f"the {progress.epoch} epochs of {folder.root} are done; writing its files again")
    else:
        if progress.epoch:
            say(f"continuing after epoch {progress.epoch - 1} of {folder.root}")
        model.fit(
            variation.training_data(training),
            validation_data=validation,
            initial_epoch=progress.epoch,
            epochs=settings.epochs,
            callbacks=[*variation.callbacks, *callbacks(settings, folder, progress, training)],
            shuffle=False,  # the data set shuffles, in a reproducible order
            verbose=verbose,
        )
    return finish(model, validation, test, folder, progress, say)


def datasets(
    settings: ResNet3DSettings, say: Callable[[str], None]
) -> tuple[ClipDataset, ClipDataset, ClipDataset | None]:
    """Return the clips for training, for validation and for the test, from different files.

    Raises:
        UsageError: If the sizes do not fit, or fewer than two classes have usable videos.
    """
    if settings.size > settings.resize:
        raise UsageError(
            f"expected a size of at most {settings.resize}, to which frames are resized before "
            f"they are cropped; received {settings.size}"
        )
    items, videos = _usable(settings)
    split = DataSplit.of(items, split_files, settings.validation, settings.test, settings.seed)
    training = _clips(settings, split.training, videos, training=True)
    validation = _clips(settings, split.validation, videos, training=False)
    test = None if split.test is None else _clips(settings, split.test, videos, training=False)
    parts = [part for part in (training, validation, test) if part is not None]
    problems = sum(len(part.problems) for part in parts)
    say(
        f"{training.num_clips} videos to train on, {validation.num_clips} to validate on, "
        + ("" if test is None else f"{test.num_clips} to test on, ")
        + f"{len(training.classes)} classes, {problems} files left out"
        + (" (problems.csv says why)" if problems else "")
    )
    return training, validation, test


def _usable(settings: ResNet3DSettings) -> tuple[Items, Videos]:
    """Inspect the videos before the split, so that it covers usable videos only."""
    items = read_items(settings.data, SUFFIXES)
    paths = [item.path for item in items.items]
    frames = span(settings.clip_length, settings.frame_stride)
    videos, problems = inspect_videos(paths, frames, settings.inspect)
    items = items.without(problems)
    if items.problems and settings.problems == "raise":
        raise UsageError(f"{len(items.problems)} files cannot be used: {items.problems[0]}")
    if len({item.label for item in items.items}) < 2:
        reasons = f": {items.problems[0]}" if items.problems else ""
        raise UsageError(
            f"expected videos of two classes or more in {settings.data}; received {len(items)} "
            f"that can be used, and {len(items.problems)} that cannot{reasons}"
        )
    return items, videos


def _clips(
    settings: ResNet3DSettings, items: Items, videos: Videos, *, training: bool
) -> ClipDataset:
    return ClipDataset(
        items,
        clip_length=settings.clip_length,
        frame_stride=settings.frame_stride,
        size=(settings.size, settings.size),
        resize=settings.resize,
        batch_size=settings.batch_size,
        shuffle=training,
        training=training,
        flip=settings.flip,
        seed=settings.seed,
        labels="one_hot",
        problems=settings.problems,
        inspect=videos,
        workers=settings.workers,
    )


def build(settings: ResNet3DSettings, classes: tuple[str, ...], optimizer: Any) -> Any:
    """Build and compile the network."""
    if settings.depth not in DEPTHS:
        raise UsageError(f"expected a depth of {list(DEPTHS)}; received {settings.depth}")
    try:
        keras.initializers.get(settings.kernel_initializer)
    except ValueError as error:
        raise UsageError(
            "expected the Keras name of an initializer, such as he_normal; received "
            f"{settings.kernel_initializer}"
        ) from error
    model = getattr(stayfinite.models, f"ResNet3D{settings.depth}")(
        (settings.clip_length, settings.size, settings.size, 3),
        classes=len(classes),
        l2=settings.l2,
        filters=settings.filters,
        kernel_initializer=settings.kernel_initializer,
        weights=settings.weights,
    )
    if settings.weights is None:
        lower_momentum(model)
    model.compile(
        optimizer,
        loss="categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def callbacks(
    settings: ResNet3DSettings, folder: OutputFolder, progress: Progress, training: ClipDataset
) -> list[Any]:
    """Return the callbacks; `KeepProgress` is last, because it reads the others."""
    counting = {
        "reduce": keras.callbacks.ReduceLROnPlateau(
            MONITOR, factor=0.1, patience=settings.reduce_after, min_lr=1e-6
        ),
        "stop": keras.callbacks.EarlyStopping(MONITOR, patience=settings.patience),
        "best": keras.callbacks.ModelCheckpoint(
            folder.best_weights, monitor=MONITOR, save_best_only=True, save_weights_only=True
        ),
    }
    guard = stayfinite.Guard(keep=folder.incidents)
    return [guard, *counting.values(), KeepProgress(folder, progress, counting, training)]


def finish(
    model: Any,
    validation: ClipDataset,
    test: ClipDataset | None,
    folder: OutputFolder,
    progress: Progress,
    say: Callable[[str], None],
) -> dict[str, float]:
    """Write curves, confusion matrix and the network of the best epoch; load it back.

    The confusion matrix is of the test videos, if there are any, else of those of validation.
    """
    figures.write_figure(figures.curves(progress.rows, model.name), folder.figure("curves"))
    best = best_epoch(folder, progress, MONITOR)
    model.load_weights(folder.best_weights)
    classes = validation.classes
    labels, predicted = _predictions(model, test or validation)
    matrix = figures.confusion_matrix(labels, predicted, len(classes))
    use, right = "test" if test else "validation", float(np.mean(labels == predicted))
    title = f"{right:.1%} of {len(labels)} {use} videos"
    if test is not None:
        best = {**best, "test_accuracy": right}
    figures.write_figure(figures.confusion(matrix, classes, title), folder.figure("confusion"))
    columns = ["true", *classes]
    rows = [
        dict(zip(columns, [name, *counts], strict=True))
        for name, counts in zip(classes, matrix.tolist(), strict=True)
    ]
    write_table(folder.root / "confusion.csv", columns, rows)
    write_page(folder, model.name, progress.rows, best, ["confusion"])
    equal = saving.saved_and_checked(model, folder.root, "model", validation[0][0])
    say(
        f"best epoch {best['epoch']}: validation loss {best[MONITOR]:.4f}, "
        f"accuracy {best['val_accuracy']:.4f}"
    )
    if test is not None:
        say(f"accuracy {right:.4f} on {len(labels)} test videos, which have chosen nothing")
    say(f"saved to {folder.root} and loaded back: predictions are {equal}")
    return numbers_of(best)


def _predictions(model: Any, dataset: ClipDataset) -> tuple[np.ndarray, np.ndarray]:
    """Return true and predicted labels, batch by batch: a video left out is in neither."""
    true, predicted = [], []
    for number in range(len(dataset)):
        clips, one_hot = dataset[number]
        true.append(np.argmax(one_hot, axis=-1))
        predicted.append(np.argmax(np.asarray(model.predict_on_batch(clips)), axis=-1))
    return np.concatenate(true), np.concatenate(predicted)
