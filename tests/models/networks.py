"""Small networks for the tests of `stayfinite.models`."""

import keras
import numpy as np

from stayfinite.models import EmbeddingNetwork, TripletNetwork

SHAPE = (12, 12, 3)


def small_backbone(image):
    x = keras.layers.Conv2D(6, 3, activation="relu")(image)
    return keras.layers.BatchNormalization()(x)


def embedding(**options):
    keras.utils.set_random_seed(0)
    return EmbeddingNetwork(small_backbone, input_shape=SHAPE, embedding_dim=8, **options)


def siamese(**options):
    return TripletNetwork(embedding(), **options)


def images(num_rows, seed=0):
    return np.random.default_rng(seed).normal(size=(num_rows, *SHAPE)).astype("float32")


def triplets(num_rows):
    return [images(num_rows, seed) for seed in range(3)]
