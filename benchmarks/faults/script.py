"""The training of one process that a fault is put into, run by `stayfinite run script.py SETTINGS`.

SETTINGS is JSON: `progress`, a file descriptor that gets one byte a step; `bad_step`, a step whose
target has a NaN; `raise_after`, a number of steps after which a callback raises.
"""

import json
import os
import sys
from pathlib import Path

import keras
import numpy as np

import stayfinite
from benchmarks.faults import network

NUM_BATCHES, NUM_EPOCHS, EVERY = 10, 4, 6


class Rows(keras.utils.PyDataset):
    """Shuffled rows; a new order each epoch."""

    def __init__(self, bad_step):
        super().__init__()
        batches = network.batches(NUM_BATCHES)
        self.x = np.concatenate([x for x, _ in batches])
        self.y = np.concatenate([y for _, y in batches])
        self.order, self.epoch, self.bad_step = np.arange(len(self.x)), 0, bad_step

    def __len__(self):
        return NUM_BATCHES

    def __getitem__(self, number):
        rows = self.order[number * network.BATCH_SIZE : (number + 1) * network.BATCH_SIZE]
        x, y = self.x[rows], self.y[rows].copy()
        if self.epoch * NUM_BATCHES + number == self.bad_step:
            y[0, 0] = np.nan
        return x, y

    def on_epoch_end(self):
        np.random.shuffle(self.order)


class Progress(keras.callbacks.Callback):
    def __init__(self, data, descriptor, raise_after):
        super().__init__()
        self._data, self._descriptor = data, descriptor
        self._raise_after, self._made = raise_after, 0

    def on_epoch_begin(self, epoch, logs=None):
        # Keras resets the data also where no epoch begins, so the data cannot count its epochs.
        self._data.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        os.write(self._descriptor, b"s")
        self._made += 1
        if self._made == self._raise_after:
            raise RuntimeError("raised by a callback")


def main(settings):
    model, data = network.compiled(), Rows(settings["bad_step"])
    history = model.fit(
        data,
        epochs=NUM_EPOCHS,
        shuffle=False,
        verbose=0,
        callbacks=[
            stayfinite.SafeCheckpoint("checkpoints", every=EVERY, keep=2),
            keras.callbacks.ModelCheckpoint("model.weights.h5", save_weights_only=True),
            Progress(data, settings["progress"], settings["raise_after"]),
        ],
    )
    result = [[value.tobytes().hex() for value in network.values(model)], history.history]
    Path("result.json").write_text(json.dumps(result), encoding="utf-8")


main(json.loads(sys.argv[1]))
