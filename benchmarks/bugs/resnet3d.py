"""Clips from a buffer of which one row was never filled: what it has is finite, and enormous."""

import keras
import numpy as np

import stayfinite


def build(run_eagerly=False):
    network = stayfinite.models.ResNet3D18((16, 112, 112, 3), 10)
    network.compile(
        keras.optimizers.Adam(1e-4), loss="categorical_crossentropy", run_eagerly=run_eagerly
    )
    return network


def batch(step, bad):
    random = np.random.default_rng(step)
    clips = random.normal(size=(2, 16, 112, 112, 3)).astype("float32")
    if bad:
        clips[1, 9:] = 1e38
    return clips, np.eye(10, dtype="float32")[random.integers(10, size=2)]
