"""A euclidean distance whose derivative is infinite where two images are the same."""

import keras
import numpy as np
from keras import layers
from keras import ops as K


def euclidean_distance(a, b):
    return K.sqrt(K.sum(K.square(a - b), axis=-1, keepdims=True))


def triplet_loss(vectors):
    anchor, positive, negative = K.split(vectors, 3, axis=0)
    difference = euclidean_distance(anchor, positive) - euclidean_distance(anchor, negative)
    return K.maximum(0.0, 1.0 + difference)


def identity_loss(y_true, y_pred):
    return K.mean(y_pred - 0 * y_true)


def l2_normalize(x):
    x = x * K.rsqrt(K.maximum(K.sum(K.square(x), axis=-1, keepdims=True), 1e-12))
    return K.clip(x, -1.0, 1.0)


def build(run_eagerly=False):
    resnet = keras.applications.ResNet50(
        include_top=False, weights=None, pooling="avg", input_shape=(112, 112, 3)
    )
    for layer in resnet.layers:
        layer.trainable = isinstance(layer, layers.BatchNormalization)
    x = layers.Dense(128, activation="relu")(resnet.output)
    embedding = keras.Model(resnet.input, layers.Lambda(l2_normalize)(x))
    images = [keras.Input((112, 112, 3)) for _ in range(3)]
    vectors = embedding(layers.Concatenate(axis=0)(images))
    network = keras.Model(images, layers.Lambda(triplet_loss, output_shape=(1,))(vectors))
    network.compile(keras.optimizers.Adam(1e-4), loss=identity_loss, run_eagerly=run_eagerly)
    return network


def batch(step, bad):
    random = np.random.default_rng(step)
    anchor, positive, negative = random.normal(size=(3, 4, 112, 112, 3)).astype("float32")
    if bad:
        positive[1] = anchor[1]
    return (anchor, positive, negative), np.zeros((4, 1), "float32")
