"""The guarded training of an embedding of images with triplets.

The pre-trained backbone is unfrozen in phases: first the new last layer is trained, then also the
BatchNormalization layers, whose statistics have to adapt to the images, then optionally all layers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

import stayfinite
from stayfinite.errors import UsageError
from stayfinite.networks.data.image_batches import ClassBatches
from stayfinite.networks.data.images import SUFFIXES, inspect_images
from stayfinite.networks.data.items import DataSplit, Items, read_items, split_classes
from stayfinite.networks.data.triplets import TripletDataset
from stayfinite.networks.metrics import recall_at_k
from stayfinite.networks.training import figures, saving
from stayfinite.networks.training.encoder import build_encoder, shown
from stayfinite.networks.training.folder import OutputFolder, write_json, write_problems
from stayfinite.networks.training.heldout import (
    KS,
    LAST_LAYER,
    MONITOR,
    HeldOut,
    KeepBest,
    write_pages,
)
from stayfinite.networks.training.page import write_page
from stayfinite.networks.training.progress import (
    KeepProgress,
    Progress,
    begin,
    best_epoch,
    load_last,
    numbers_of,
)
from stayfinite.networks.training.settings import SiameseSettings


@dataclass(frozen=True)
class TrainingPhase:
    """A part of the training with the same trainable layers."""

    name: str
    epochs: int
    learning_rate: float
    trains: Callable[[Any], bool]


def phases(settings: SiameseSettings) -> list[TrainingPhase]:
    """Return the phases that have epochs: head, BatchNormalization, everything."""
    rate = settings.learning_rate

    def is_normalization(layer: Any) -> bool:
        return isinstance(layer, keras.layers.BatchNormalization) or layer.name == LAST_LAYER

    found = [
        TrainingPhase(
            "head", settings.head_epochs, 10 * rate, lambda layer: layer.name == LAST_LAYER
        ),
        TrainingPhase("normalization", settings.epochs, rate, is_normalization),
        TrainingPhase("everything", settings.whole_epochs, rate, lambda layer: True),
    ]
    return [phase for phase in found if phase.epochs]


def train(
    settings: SiameseSettings, out: Path, fresh: bool, say: Callable[[str], None], verbose: int = 1
) -> dict[str, float]:
    """Train all phases; then save the epoch with the best recall@1 and load it back.

    Args:
        settings: Settings of the training.
        out: Folder for all files. An unfinished training in it is continued.
        fresh: Start a new training and ignore an earlier one in the folder.
        say: Called with lines for the user.
        verbose: As for `keras.Model.fit`.

    Returns:
        The numbers of the best epoch: `"epoch"` and those of the history.

    Raises:
        UsageError: If the data, the weights or the folder cannot be used.
        NonFiniteError: If a step was non-finite; the files saved before are unchanged.
    """
    folder, progress = begin(out, settings, fresh)
    images = _images(settings, folder, say)
    data = dataset(settings, images.training)
    network = load_last(folder, progress) if progress.model else build(settings)

    def held_out(items: Items) -> HeldOut:
        return HeldOut(items, _encoder(network), shown(settings), settings.distance)

    judge = held_out(images.validation)
    reported = judge if images.test is None else held_out(images.test)
    if not progress.model:
        progress.baselines = reported.baselines()
    for number, phase in enumerate(phases(settings)):
        if number < progress.phase or (number == progress.phase and progress.stopped):
            continue
        if number > progress.phase:
            progress.phase, progress.epoch, progress.counts = number, 0, {}
        if not progress.epoch:
            _compile(network, settings, phase)
        if progress.epoch < phase.epochs:
            network.fit(
                data,
                initial_epoch=progress.epoch,
                epochs=phase.epochs,
                callbacks=_callbacks(settings, folder, progress, judge, data, phase),
                shuffle=False,  # the data set shuffles, in a reproducible order
                verbose=verbose,
            )
    return _finish(reported, images, folder, progress, say)


def _images(
    settings: SiameseSettings, folder: OutputFolder, say: Callable[[str], None]
) -> DataSplit:
    """Return the usable images by the use of their classes."""
    items = inspect_images(read_items(settings.data, SUFFIXES))
    if items.problems and settings.problems == "raise":
        raise UsageError(f"{len(items.problems)} files cannot be used: {items.problems[0]}")
    write_problems(folder.problems, items.problems)
    split = DataSplit.of(items, split_classes, settings.held_out, settings.test, settings.seed)
    held_out = {"validation": split.validation}
    if split.test is not None:
        held_out["test"] = split.test
    labels = {use: {item.label for item in part.items} for use, part in held_out.items()}
    classes = {
        use: [name for label, name in enumerate(items.classes) if label in found]
        for use, found in labels.items()
    }
    apart = set().union(*labels.values())
    training = [name for label, name in enumerate(items.classes) if label not in apart]
    write_json(folder.classes, {"training": training, **classes})
    parts = [f"{len(part)} of {len(labels[use])} {use} classes" for use, part in held_out.items()]
    say(
        f"{len(split.training)} images to train on, {', '.join(parts)}, "
        f"{len(items.problems)} files left out"
        + (" (problems.csv says why)" if items.problems else "")
    )
    return split


def dataset(settings: SiameseSettings, items: Items) -> Any:
    """Return the training data: batches of classes, or triplets."""
    options: dict[str, Any] = {
        **shown(settings),
        "flip": settings.flip,
        "seed": settings.seed,
        "workers": settings.workers,
    }
    count, steps = settings.classes_per_batch * settings.images_per_class, settings.steps_per_epoch
    if settings.mining == "none":
        wanted = steps * count or None
        return TripletDataset(items, batch_size=count, num_triplets=wanted, **options)
    return ClassBatches(
        items,
        num_classes=settings.classes_per_batch,
        num_images=settings.images_per_class,
        batches_per_epoch=steps or None,
        **options,
    )


def build(settings: SiameseSettings) -> Any:
    """Build the network to train: the embedding, or a triplet network around it."""
    encoder = build_encoder(settings)
    if settings.mining != "none":
        return encoder
    return stayfinite.models.TripletNetwork(
        encoder,
        distance=settings.distance,
        margin=settings.margin,
        margin_size=settings.margin_size,
    )


def _encoder(network: Any) -> Any:
    """Return the embedding within the trained network."""
    return next((layer for layer in network.layers if layer.name == "embedding"), network)


def _compile(network: Any, settings: SiameseSettings, phase: TrainingPhase) -> None:
    stayfinite.freeze(_encoder(network), keep=phase.trains)
    network.compile(keras.optimizers.Adam(phase.learning_rate), loss=_loss(settings))


def _loss(settings: SiameseSettings) -> Any:
    if settings.mining == "none":
        return "mean_absolute_error"
    kind = {
        "batch_hard": stayfinite.losses.BatchHardTripletLoss,
        "semi_hard": stayfinite.losses.SemiHardTripletLoss,
    }[settings.mining]
    return kind(
        distance=settings.distance, margin=settings.margin, margin_size=settings.margin_size
    )


def _callbacks(
    settings: SiameseSettings,
    folder: OutputFolder,
    progress: Progress,
    judge: HeldOut,
    data: Any,
    phase: TrainingPhase,
) -> list[Any]:
    """Return the callbacks; those that read the recall come after `KeepBest`."""
    counting = {
        "stop": keras.callbacks.EarlyStopping(MONITOR, patience=settings.patience, mode="max"),
    }
    guard = stayfinite.Guard(keep=folder.incidents)
    keep = KeepProgress(folder, progress, counting, data, phase.name)
    return [guard, KeepBest(judge, folder, progress), *counting.values(), keep]


def _finish(
    reported: HeldOut,
    images: DataSplit,
    folder: OutputFolder,
    progress: Progress,
    say: Callable[[str], None],
) -> dict[str, float]:
    """Write figures and the encoder of the best epoch; load it back.

    Args:
        reported: The evaluation on the test classes, if there are any, else on those of validation.
        images: The images of all classes.
        folder: The folder to write to.
        progress: The progress, with all epochs.
        say: Called with lines for the user.
    """
    encoder = reported.encoder
    figures.write_figure(figures.curves(progress.rows, encoder.name), folder.figure("curves"))
    best = best_epoch(folder, progress, MONITOR, largest=True)
    encoder.load_weights(folder.best_weights)
    vectors, labels = reported.embed()
    use, prefix = "validation", "val"
    if images.test is not None:
        use = prefix = "test"
        found = recall_at_k(vectors, labels, KS, distance=reported.distance)
        best = {**best, **{f"test_recall_at_{k}": float(found[k]) for k in KS}}
    write_pages(vectors, labels, reported, folder)
    write_page(folder, encoder.name, progress.rows, best, ["verification", "embedding"])
    equal = saving.saved_and_checked(encoder, folder.root, "encoder", reported.images[0][0])
    recalls = [f"recall@{k} {best[f'{prefix}_recall_at_{k}']:.4f}" for k in KS]
    say(f"best epoch {best['epoch']}, by recall@1 of the validation classes")
    say(
        f"with it: {', '.join(recalls)} on {len(labels)} images of {use} classes; "
        f"chance {reported.chance():.4f}"
    )
    say(
        "without a training: "
        + ", ".join(
            f"recall@1 of the {name} {recall:.4f}" for name, recall in progress.baselines.items()
        )
    )
    say(f"the encoder is saved to {folder.root} and loaded back: its vectors are {equal}")
    return numbers_of(best)
