"""A network of four convolutions for small images, as a file for `--backbone`.

python examples/small_backbone.py small.keras --size 32
stayfinite train siamese characters --backbone small.keras --size 32 --no-flip \
    --head-epochs 0 --epochs 0 --whole-epochs 12 --learning-rate 0.001 \
    --mining semi_hard --distance squared_euclidean --margin hinge --classes-per-batch 12

A wider form of the network of O. Vinyals et al., "Matching Networks for One Shot Learning", 2016.
"""

import argparse

import keras
from keras import layers

WIDTHS = (32, 64, 128, 128)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("file", help="ends in .keras")
    parser.add_argument("--size", type=int, default=32, help="pixels, 16 or more")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    keras.utils.set_random_seed(options.seed)
    inputs = keras.Input((options.size, options.size, 3))
    x = layers.Rescaling(1 / 255)(inputs)
    for width in WIDTHS:
        x = layers.Conv2D(width, 3, padding="same", use_bias=False)(x)
        # Random weights change fast, and so must the statistics that stand for them.
        x = layers.BatchNormalization(momentum=0.9)(x)
        x = layers.ReLU()(x)
        x = layers.MaxPooling2D()(x)
    keras.Model(inputs, layers.Flatten()(x), name="small_backbone").save(options.file)


if __name__ == "__main__":
    main()
