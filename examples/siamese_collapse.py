"""The siamese network of `siamese_triplet.py` with a usual batch, where its embedding collapses.

The relu switches off most of the 128 units. Two images that have the same single unit left are
normalized to the same vector, and the distance of two equal vectors has no finite gradient. Nothing
is added to the script of the question; a batch has 32 triplets, and the learning rate is higher to
shorten the training.

    python siamese_collapse.py --backbone resnet50 --image-size 224
    stayfinite run siamese_collapse.py
"""

import argparse
import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import numpy as np
from keras import layers
from keras import ops as K
from siamese_triplet import Triplets, load_images, load_resnet50

WIDTHS = (32, 64, 128, 256)


def l2_normalize(x):
    """K.l2_normalize, gone from Keras 3."""
    return x * K.rsqrt(K.maximum(K.sum(K.square(x), axis=-1, keepdims=True), 1e-12))


def triplet_loss(inputs):
    anchor, positive, negative = inputs
    positive_distance = K.square(anchor - positive)
    negative_distance = K.square(anchor - negative)
    positive_distance = K.sqrt(K.sum(positive_distance, axis=-1, keepdims=True))
    negative_distance = K.sqrt(K.sum(negative_distance, axis=-1, keepdims=True))
    loss = positive_distance - negative_distance
    return K.mean(K.maximum(0.0, 2 + loss))


def identity_loss(y_true, y_pred):
    return K.mean(y_pred - 0 * y_true)


def small_backbone(input_shape):
    """Four convolutions, where the ResNet50 takes too long."""
    inputs = keras.Input(input_shape)
    x = inputs
    for width in WIDTHS:
        x = layers.Conv2D(width, 3, strides=2, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization()(x)
        x = layers.ReLU()(x)
    return keras.Model(inputs, layers.GlobalAveragePooling2D()(x))


def build_embedding(backbone):
    # Transfer learning: only the batch normalization follows the new images.
    for layer in backbone.layers:
        layer.trainable = isinstance(layer, layers.BatchNormalization)
    x = layers.Dense(128, activation="relu", name="model_out")(backbone.output)
    return keras.Model(backbone.input, layers.Lambda(l2_normalize)(x), name="embedding")


def build_siamese_network(embedding, learning_rate):
    input_shape = embedding.input_shape[1:]
    parts = [keras.Input(input_shape, name=f"{name}_input") for name in ("anchor", "pos", "neg")]
    loss = layers.Lambda(triplet_loss, name="triplet_loss")([embedding(part) for part in parts])
    siamese_network = keras.Model(parts, loss)
    siamese_network.compile(keras.optimizers.Adam(learning_rate), loss=identity_loss)
    return siamese_network


class Collapse(keras.callbacks.Callback):
    """Prints after each epoch how far apart embeddings are, and how many are 0."""

    def __init__(self, embedding, images):
        super().__init__()
        self.embedding, self.images = embedding, images

    def on_epoch_end(self, epoch, logs=None):
        found = self.embedding.predict_on_batch(self.images)
        zero = ~found.any(axis=1)
        distances = np.linalg.norm(found[~zero, None] - found[None, ~zero], axis=-1)
        distance = distances.mean() if distances.size else 0.0
        print(
            f"epoch {epoch}: loss {logs['loss']:.4f}, mean distance {distance:.4f}, "
            f"{(~found.any(axis=0)).sum()} of 128 units and {zero.sum()} of {len(found)} "
            "embeddings are 0",
            flush=True,
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--backbone", choices=("small", "resnet50"), default="small")
    parser.add_argument("--image-size", type=int, default=32, help="pixels; the question has 224")
    parser.add_argument("--batch-size", type=int, default=32, help="triplets in a step")
    parser.add_argument("--epochs", type=int, default=18)
    parser.add_argument("--steps", type=int, default=40, help="steps in an epoch")
    parser.add_argument("--learning-rate", type=float, default=1e-3, help="the question: 1e-4")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    keras.utils.set_random_seed(options.seed)
    (images, labels), (others, _) = load_images(options.image_size)
    triplets = Triplets(images, labels, options.batch_size, options.steps, options.seed)
    input_shape = (options.image_size, options.image_size, 3)
    build = load_resnet50 if options.backbone == "resnet50" else small_backbone
    embedding = build_embedding(build(input_shape))
    siamese_network = build_siamese_network(embedding, options.learning_rate)
    collapse = Collapse(embedding, others[:128])
    siamese_network.fit(triplets, epochs=options.epochs, verbose=0, callbacks=[collapse])


if __name__ == "__main__":
    main()
