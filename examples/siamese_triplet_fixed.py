"""The training of `siamese_triplet.py` with square roots that have a gradient of 0 at 0.

Loss and evaluation differ; everything else is the same.

    python siamese_triplet_fixed.py
"""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import numpy as np
from keras import ops as K
from siamese_triplet import (
    Triplets,
    build_embedding,
    build_siamese_network,
    load_images,
    parse_arguments,
    reload,
    save,
)


def triplet_loss(inputs, dist="euclidean", margin="maxplus"):
    anchor, positive, negative = inputs
    positive_distance = K.square(anchor - positive)
    negative_distance = K.square(anchor - negative)
    if dist == "euclidean":
        total = K.sum(positive_distance, axis=-1, keepdims=True)
        at_zero = K.equal(total, 0.0)
        positive_distance = K.where(at_zero, 0.0, K.sqrt(K.where(at_zero, 1.0, total)))
        total_2 = K.sum(negative_distance, axis=-1, keepdims=True)
        at_zero_2 = K.equal(total_2, 0.0)
        negative_distance = K.where(at_zero_2, 0.0, K.sqrt(K.where(at_zero_2, 1.0, total_2)))
    elif dist == "sqeuclidean":
        positive_distance = K.sum(positive_distance, axis=-1, keepdims=True)
        negative_distance = K.sum(negative_distance, axis=-1, keepdims=True)
    loss = positive_distance - negative_distance
    if margin == "maxplus":
        loss = K.maximum(0.0, 2 + loss)
    elif margin == "softplus":
        loss = K.log(1 + K.exp(loss))
    return K.mean(loss)


def recall_at_1(embedding, images, labels):
    """How often the image nearest to an image, among all the others, is of its class."""
    vectors = embedding.predict(images, batch_size=100, verbose=0)
    similarity = vectors @ vectors.T
    np.fill_diagonal(similarity, -np.inf)
    return np.mean(labels[similarity.argmax(axis=1)] == labels)


def main():
    options = parse_arguments("saved_model_fixed")
    keras.utils.set_random_seed(options.seed)
    train, held_out = load_images(options.image_size)
    triplets = Triplets(*train, options.batch_size, options.steps, options.seed)
    embedding = build_embedding((options.image_size, options.image_size, 3))
    siamese_network = build_siamese_network(embedding, triplet_loss)
    before = recall_at_1(embedding, *held_out)
    siamese_network.fit(triplets, epochs=options.epochs, verbose=2)
    save(siamese_network, options.saved_model)

    embedding = reload(options.saved_model, triplet_loss).get_layer("embedding")
    after = recall_at_1(embedding, *held_out)
    _, counts = np.unique(held_out[1], return_counts=True)
    chance = np.sum(counts * (counts - 1)) / (len(held_out[1]) * (len(held_out[1]) - 1))
    print(f"recall@1 on {len(held_out[1])} images by other writers, after reloading: {after:.3f}")
    print(f"before training: {before:.3f}; chance: {chance:.3f}")


if __name__ == "__main__":
    main()
