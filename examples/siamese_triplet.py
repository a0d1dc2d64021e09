"""A siamese network on a ResNet50 whose weights are all NaN after training.

The script of a frequent question ("Keras model params are all NaN after reloading"), ported to
Keras 3 with its mistakes. Its images are the handwritten digits of scikit-learn. A batch is one
triplet; the positive is drawn from all images of the anchor's class.

    python siamese_triplet.py
    stayfinite run siamese_triplet.py
"""

import argparse
import os
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import numpy as np
from keras import ops as K
from keras.applications.resnet50 import ResNet50, preprocess_input
from keras.layers import BatchNormalization, Dense, Input, Lambda
from keras.models import Model, model_from_json
from keras.optimizers import Adam
from sklearn.datasets import load_digits


def load_images(image_size):
    """Images of 8 x 8 pixels, enlarged and made RGB; the last 597 are by other writers."""
    digits = load_digits()
    images = np.repeat(digits.images[..., None] * (255 / 16), 3, axis=-1).astype("float32")
    images = np.array(K.image.resize(images, (image_size, image_size)))
    images = preprocess_input(images)
    return (images[:1200], digits.target[:1200]), (images[1200:], digits.target[1200:])


class Triplets(keras.utils.PyDataset):
    """Anchor, an image of the same class, an image of another class; new ones in every epoch."""

    def __init__(self, images, labels, batch_size, num_steps, seed):
        super().__init__()
        self.images, self.labels = images, labels
        self.batch_size, self.num_steps = batch_size, num_steps
        self.random = np.random.default_rng(seed)
        self.draw()

    def __len__(self):
        return self.num_steps

    def __getitem__(self, step):
        anchor, positive, negative = self.indices[:, step]
        inputs = self.images[anchor], self.images[positive], self.images[negative]
        return inputs, np.zeros(self.batch_size, "float32")

    def on_epoch_end(self):
        self.draw()

    def draw(self):
        shape = self.num_steps, self.batch_size
        anchor = self.random.integers(len(self.labels), size=shape)
        self.indices = np.stack([anchor, self.like(anchor, True), self.like(anchor, False)])

    def like(self, anchors, same):
        """For each anchor a random image of the same class, or of another."""
        found = np.empty_like(anchors)
        for place, anchor in np.ndenumerate(anchors):
            is_same = self.labels == self.labels[anchor]
            found[place] = self.random.choice(np.flatnonzero(is_same == same))
        return found


def l2_normalize(x):
    """K.l2_normalize, gone from Keras 3; clipped, or XLA fuses it and rounds equal rows apart."""
    x = x * K.rsqrt(K.maximum(K.sum(K.square(x), axis=-1, keepdims=True), 1e-12))
    return K.clip(x, -1.0, 1.0)


def triplet_loss(inputs, dist="euclidean", margin="maxplus"):
    anchor, positive, negative = inputs
    positive_distance = K.square(anchor - positive)
    negative_distance = K.square(anchor - negative)
    if dist == "euclidean":
        positive_distance = K.sqrt(K.sum(positive_distance, axis=-1, keepdims=True))
        negative_distance = K.sqrt(K.sum(negative_distance, axis=-1, keepdims=True))
    elif dist == "sqeuclidean":
        positive_distance = K.sum(positive_distance, axis=-1, keepdims=True)
        negative_distance = K.sum(negative_distance, axis=-1, keepdims=True)
    loss = positive_distance - negative_distance
    if margin == "maxplus":
        loss = K.maximum(0.0, 2 + loss)
    elif margin == "softplus":
        loss = K.log(1 + K.exp(loss))
    return K.mean(loss)


def identity_loss(y_true, y_pred):
    return K.mean(y_pred - 0 * y_true)


def load_resnet50(input_shape):
    options = {"include_top": False, "pooling": "avg", "input_shape": input_shape}
    try:
        return ResNet50(weights="imagenet", **options)
    except Exception as error:
        print("no ImageNet weights, so it starts from random ones:", str(error).split(": ")[0])
        return ResNet50(weights=None, **options)


def build_embedding(input_shape):
    model = load_resnet50(input_shape)
    # Transfer learning: only the batch normalisation follows the new images.
    for layer in model.layers:
        layer.trainable = isinstance(layer, BatchNormalization)
    x = Dense(128, activation="relu", name="model_out")(model.output)
    return Model(model.input, Lambda(l2_normalize)(x), name="embedding")


def build_siamese_network(embedding, triplet_loss):
    input_shape = embedding.input_shape[1:]
    anchor_input = Input(input_shape, name="anchor_input")
    pos_input = Input(input_shape, name="pos_input")
    neg_input = Input(input_shape, name="neg_input")
    encodings = [embedding(anchor_input), embedding(pos_input), embedding(neg_input)]
    # The output of the model is the loss itself.
    loss = Lambda(triplet_loss, name="triplet_loss")(encodings)
    siamese_network = Model([anchor_input, pos_input, neg_input], loss)
    siamese_network.compile(optimizer=Adam(learning_rate=0.0001), loss=identity_loss)
    return siamese_network


def save(siamese_network, folder):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "siamese_network_arch.json").write_text(siamese_network.to_json())
    siamese_network.save_weights(folder / "siamese_model.weights.h5")


def reload(folder, triplet_loss):
    custom_objects = {
        "l2_normalize": l2_normalize,
        "triplet_loss": triplet_loss,
        "identity_loss": identity_loss,
    }
    architecture = (folder / "siamese_network_arch.json").read_text()
    siamese_network = model_from_json(architecture, custom_objects)
    siamese_network.load_weights(folder / "siamese_model.weights.h5")
    return siamese_network


def parse_arguments(saved_model):
    parser = argparse.ArgumentParser()
    parser.add_argument("--image-size", type=int, default=64, help="pixels; the question has 224")
    parser.add_argument("--batch-size", type=int, default=1, help="triplets in a step")
    parser.add_argument("--epochs", type=int, default=18)
    parser.add_argument("--steps", type=int, default=40, help="steps in an epoch")
    parser.add_argument("--seed", type=int, default=2)
    parser.add_argument("--saved-model", type=Path, default=Path(saved_model))
    return parser.parse_args()


def main():
    options = parse_arguments("saved_model")
    keras.utils.set_random_seed(options.seed)
    train, _ = load_images(options.image_size)
    triplets = Triplets(*train, options.batch_size, options.steps, options.seed)
    embedding = build_embedding((options.image_size, options.image_size, 3))
    siamese_network = build_siamese_network(embedding, triplet_loss)
    siamese_network.fit(triplets, epochs=options.epochs, verbose=2)
    save(siamese_network, options.saved_model)

    siamese_network = reload(options.saved_model, triplet_loss)
    layer = siamese_network.get_layer("embedding").get_layer("conv3_block4_3_bn")
    print("conv3_block4_3_bn:", layer.get_weights()[0][:8])


if __name__ == "__main__":
    main()
