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
from stayfinite.networks.data.items import Items, read_items, split_classes
from stayfinite.networks.data.triplets import TripletDataset
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
    training, held_out = _images(settings, folder, say)
    data = dataset(settings, training)
    network = load_last(folder, progress) if progress.model else build(settings)
    judge = HeldOut(held_out, _encoder(network), shown(settings), settings.distance)
    if not progress.model:
        progress.baselines = judge.baselines()
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
    return _finish(judge, folder, progress, say)


def _images(
    settings: SiameseSettings, folder: OutputFolder, say: Callable[[str], None]
) -> tuple[Items, Items]:
    """Return the usable images of the training classes and of the held-out classes."""
    items = inspect_images(read_items(settings.data, SUFFIXES))
    if items.problems and settings.problems == "raise":
        raise UsageError(f"{len(items.problems)} files cannot be used: {items.problems[0]}")
    write_problems(folder.problems, items.problems)
    training, held_out = split_classes(items, settings.held_out, settings.seed)
    names = {item.label for item in held_out.items}
    write_json(
        folder.classes,
        {
            "training": [n for k, n in enumerate(items.classes) if k not in names],
            "held out": [n for k, n in enumerate(items.classes) if k in names],
        },
    )
    say(
        f"{len(training)} images to train on, {len(held_out)} of {len(names)} classes held out, "
        f"{len(items.problems)} files left out"
        + (" (problems.csv says why)" if items.problems else "")
    )
    return training, held_out


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
    judge: HeldOut,
    folder: OutputFolder,
    progress: Progress,
    say: Callable[[str], None],
) -> dict[str, float]:
    """Write figures and the encoder of the best epoch; load it back."""
    encoder = judge.encoder
    figures.write_figure(figures.curves(progress.rows, encoder.name), folder.figure("curves"))
    best = best_epoch(folder, progress, MONITOR, largest=True)
    encoder.load_weights(folder.best_weights)
    vectors, labels = judge.embed()
    write_pages(vectors, labels, judge, folder)
    write_page(folder, encoder.name, progress.rows, best, ["verification", "embedding"])
    equal = saving.saved_and_checked(encoder, folder.root, "encoder", judge.images[0][0])
    recalls = [f"recall@{k} {best[f'val_recall_at_{k}']:.4f}" for k in KS]
    say(
        f"best epoch {best['epoch']}: {', '.join(recalls)} on {len(labels)} images of classes held "
        f"out; chance {judge.chance():.4f}"
    )
    say(
        "without a training: "
        + ", ".join(
            f"recall@1 of the {name} {recall:.4f}" for name, recall in progress.baselines.items()
        )
    )
    say(f"the encoder is saved to {folder.root} and loaded back: its vectors are {equal}")
    return numbers_of(best)
