"""How well images of classes that were never trained on find their own kind."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from stayfinite.networks.data.image_batches import ImageBatches
from stayfinite.networks.data.image_reader import CACHE_BYTES
from stayfinite.networks.data.items import Items
from stayfinite.networks.metrics import recall_at_k
from stayfinite.networks.training.folder import OutputFolder
from stayfinite.networks.training.progress import Progress, best_row

KS = (1, 5)
MONITOR = "val_recall_at_1"
_BATCH = 32


class HeldOut:
    """The images held out, and the encoder that is judged by them.

    Args:
        items: The images.
        encoder: The model from images to vectors.
        shown: How the images are made ready: `size` and `preprocess`.
        distance: Between two vectors, as in the loss.
    """

    def __init__(self, items: Items, encoder: Any, shown: dict[str, Any], distance: str) -> None:
        self.images = ImageBatches(items, batch_size=_BATCH, cache_bytes=CACHE_BYTES, **shown)
        self.encoder = encoder
        self.distance = distance

    def embed(self) -> tuple[np.ndarray, np.ndarray]:
        """The vector and the label of every image."""
        vectors, labels = [], []
        for number in range(len(self.images)):
            batch, of_batch = self.images[number]
            vectors.append(np.asarray(self.encoder.predict_on_batch(batch)))
            labels.append(of_batch)
        return np.concatenate(vectors), np.concatenate(labels)

    def recalls(self) -> dict[str, float]:
        """Recall@k for each k, as entries of the logs."""
        vectors, labels = self.embed()
        if not np.isfinite(vectors).all():
            return {f"val_recall_at_{k}": float("nan") for k in KS}
        found = recall_at_k(vectors, labels, KS, distance=self.distance)
        return {f"val_recall_at_{k}": float(found[k]) for k in KS}

    def chance(self) -> float:
        """Recall@1 of an encoder that knows nothing: how often another image is of the class."""
        labels = self.images.labels
        counts = np.bincount(labels)
        same = (counts[labels] - 1)[counts[labels] > 1]
        return float(np.mean(same / (len(labels) - 1)))


class KeepBest(keras.callbacks.Callback):
    """Adds the recalls to the logs of each epoch, and keeps the weights of the best."""

    def __init__(self, judge: HeldOut, folder: OutputFolder, progress: Progress) -> None:
        super().__init__()
        self._judge, self._folder, self._progress = judge, folder, progress

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Called by Keras."""
        # Read first: on JAX this brings the weights of the encoder up to date.
        _ = self.model
        found = self._judge.recalls()
        best = best_row(self._progress.rows, MONITOR, largest=True)
        if best is None or found[MONITOR] > float(best[MONITOR]):
            self._judge.encoder.save_weights(self._folder.best_weights)
        if logs is not None:
            logs.update(found)
