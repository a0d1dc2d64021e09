"""Evaluation of an encoder on held-out classes: recall@k, verification curve, figures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from stayfinite.networks.data.image_batches import ImageBatches
from stayfinite.networks.data.image_files import CACHE_BYTES
from stayfinite.networks.data.images import read_image
from stayfinite.networks.data.items import Items
from stayfinite.networks.metrics import recall_at_k, verification_curve
from stayfinite.networks.training.figures import new_figure, write_figure
from stayfinite.networks.training.folder import OutputFolder, write_json
from stayfinite.networks.training.progress import Progress, best_row

KS = (1, 5)
MONITOR = "val_recall_at_1"
# The layer of the encoder after the backbone.
LAST_LAYER = "embedding_dense"
_BATCH = 32
# Side of the images that are compared by their pixels; larger ones would be shifted copies.
_PIXELS = 32


class HeldOut:
    """Evaluates an encoder on images of classes that are not trained on.

    Args:
        items: The images.
        encoder: The model from images to vectors.
        shown: Options of `ImageBatches`: `size` and `preprocess`.
        distance: Name of the distance of the loss.
    """

    def __init__(self, items: Items, encoder: Any, shown: dict[str, Any], distance: str) -> None:
        self.images = ImageBatches(items, batch_size=_BATCH, cache_bytes=CACHE_BYTES, **shown)
        # The same layers without an optimizer, whose variables change from phase to phase.
        self.encoder = keras.Model(encoder.input, encoder.output, name=encoder.name)
        self.distance = distance

    def embed(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the vectors, `(images, dim)`, and labels, `(images,)`, of all images."""
        return self._vectors(self.encoder.predict_on_batch), self.images.labels

    def recalls(self) -> dict[str, float]:
        """Return recall@k for each k, as entries of the logs."""
        vectors, labels = self.embed()
        if not np.isfinite(vectors).all():
            return {f"val_recall_at_{k}": float("nan") for k in KS}
        found = recall_at_k(vectors, labels, KS, distance=self.distance)
        return {f"val_recall_at_{k}": float(found[k]) for k in KS}

    def baselines(self) -> dict[str, float]:
        """Return recall@1 without a training: of the pixels, and of the features of the backbone.

        Pixels are compared by their distance in images of 32 x 32 pixels, features by their angle.
        """
        features = keras.Model(self.encoder.input, self.encoder.get_layer(LAST_LAYER).input)
        found = {
            "pixels": (self._vectors(_thumbnails), "euclidean"),
            "backbone": (self._vectors(features.predict_on_batch), "cosine"),
        }
        return {
            name: float(recall_at_k(vectors, self.images.labels, (1,), distance=distance)[1])
            for name, (vectors, distance) in found.items()
        }

    def _vectors(self, embed: Callable[[np.ndarray], Any]) -> np.ndarray:
        """Return `embed` of every batch of images, shape `(images, dim)`."""
        batches = (self.images[number][0] for number in range(len(self.images)))
        return np.concatenate([np.asarray(embed(batch)) for batch in batches])

    def chance(self) -> float:
        """Return the expected recall@1 of an encoder that gives random vectors."""
        labels = self.images.labels
        counts = np.bincount(labels)
        same = (counts[labels] - 1)[counts[labels] > 1]
        return float(np.mean(same / (len(labels) - 1)))


def _thumbnails(images: np.ndarray) -> np.ndarray:
    """Return the images at 32 x 32 pixels, shape `(images, 3072)`."""
    size = (_PIXELS, _PIXELS)
    small = keras.ops.image.resize(images, size, antialias=True, data_format="channels_last")
    return np.asarray(keras.ops.convert_to_numpy(small)).reshape(len(images), -1)


class KeepBest(keras.callbacks.Callback):
    """Adds the recalls to the logs of each epoch and saves the weights of the best epoch."""

    def __init__(self, judge: HeldOut, folder: OutputFolder, progress: Progress) -> None:
        super().__init__()
        self._judge, self._folder, self._progress = judge, folder, progress

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Evaluate the encoder; save its weights if its recall@1 is the best so far."""
        # On JAX, reading `model` writes the trained weights back to the layers.
        _ = self.model
        found = self._judge.recalls()
        best = best_row(self._progress.rows, MONITOR, largest=True)
        if best is None or found[MONITOR] > float(best[MONITOR]):
            self._judge.encoder.save_weights(self._folder.best_weights)
        if logs is not None:
            logs.update(found)


# Largest number of thumbnails; more would cover each other.
MOST_SHOWN = 300
THUMBNAIL = 32


def write_pages(
    vectors: np.ndarray, labels: np.ndarray, judge: HeldOut, folder: OutputFolder
) -> None:
    """Write verification.png, embedding.png (both as SVG too) and verification.json.

    Args:
        vectors: Shape `(images, dim)`.
        labels: Shape `(images,)`.
        judge: The evaluation with the images.
        folder: The folder to write to.
    """
    curve = verification_curve(vectors, labels, distance=judge.distance)
    write_json(
        folder.root / "verification.json",
        {"area_under_curve": curve.auc, "equal_error_rate": curve.equal_error_rate},
    )
    write_figure(verification(curve), folder.figure("verification"))
    write_figure(laid_out(vectors, labels, judge), folder.figure("embedding"))


def verification(curve: Any) -> Any:
    """Draw the true against the false accept rate over all thresholds of the distance."""
    figure = new_figure(5, 5)
    axes = figure.subplots()
    axes.plot(curve.false_accept_rates, curve.true_accept_rates)
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=0.8)
    axes.set(
        title=f"area {curve.auc:.3f}, equal error rate {curve.equal_error_rate:.3f}",
        xlabel="false accept rate",
        ylabel="true accept rate",
    )
    axes.grid(alpha=0.3)
    return figure


def projection(vectors: np.ndarray) -> np.ndarray:
    """Project vectors to their first two principal components.

    Args:
        vectors: Shape `(images, dim)`.

    Returns:
        Shape `(images, 2)`.
    """
    centred = vectors.astype("float64") - vectors.mean(axis=0, dtype="float64")
    _, _, directions = np.linalg.svd(centred, full_matrices=False)
    flat = centred @ directions[:2].T
    return np.pad(flat, ((0, 0), (0, 2 - flat.shape[1])))


def laid_out(vectors: np.ndarray, labels: np.ndarray, judge: HeldOut) -> Any:
    """Draw thumbnails at the projections of their vectors, framed in the colour of the class."""
    from matplotlib.offsetbox import AnnotationBbox, OffsetImage

    figure = new_figure(10, 10)
    axes = figure.subplots()
    places = projection(vectors)
    axes.scatter(places[:, 0], places[:, 1], s=4, c=[f"C{label % 10}" for label in labels])
    step = -(-len(labels) // MOST_SHOWN)
    for number in range(0, len(labels), step):
        image = read_image(judge.images.items.items[number].path, THUMBNAIL)
        picture = OffsetImage(image, zoom=0.8)
        frame = {
            "edgecolor": f"C{labels[number] % 10}",
            "linewidth": 1.5,
            "boxstyle": "square,pad=0",
        }
        axes.add_artist(AnnotationBbox(picture, places[number], pad=0, bboxprops=frame))
    axes.set(title=f"{len(labels)} images of {len(set(labels.tolist()))} classes held out")
    axes.set_xticks([])
    axes.set_yticks([])
    return figure
