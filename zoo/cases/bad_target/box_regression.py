"""Learns where an object is in an image: centre, and logarithm of width and height.

A random crop has cut a box down to width 0. The logarithm of its width is -inf in the target.
"""
# /// zoo
# cause = "bad-target"
# step = 9
# rows = [1]
# fix = "data"
# stands_for = ["I10", "I16"]
# ///

import keras
import numpy as np

SIZE = 16


def crop(box, left, right):
    """Cut a box (x0, y0, x1, y1) as its image is cut."""
    x0, y0, x1, y1 = box
    return np.clip(x0, left, right), y0, np.clip(x1, left, right), y1


def target(box):
    x0, y0, x1, y1 = box
    size = np.array([x1 - x0, y1 - y0]) / SIZE
    return np.array([(x0 + x1) / 2 / SIZE, (y0 + y1) / 2 / SIZE, *np.log(size)], "float32")


def examples(count):
    rng = np.random.default_rng(1)
    for number in range(count):
        x0, y0 = rng.integers(0, 8, 2)
        x1, y1 = x0 + rng.integers(2, 8), y0 + rng.integers(2, 8)
        left = 13 if number == 55 else 0
        x0, x1 = (3, 12) if number == 55 else (x0, x1)
        image = 0.1 * rng.uniform(size=(SIZE, SIZE))
        image[y0:y1, x0:x1] += 0.9
        image[:, :left] = 0.0
        yield image[..., None], target(crop((x0, y0, x1, y1), left, SIZE))


keras.utils.set_random_seed(0)
np.seterr(divide="ignore")
images, boxes = (np.stack(column) for column in zip(*examples(72), strict=True))
backbone = keras.Sequential(
    [
        keras.Input((SIZE, SIZE, 1)),
        keras.layers.Conv2D(8, 3, strides=2, activation="relu"),
        keras.layers.Conv2D(8, 3, strides=2, activation="relu"),
        keras.layers.Flatten(),
    ],
    name="backbone",
)
model = keras.Sequential([backbone, keras.layers.Dense(4, name="box")])
model.compile("adam", keras.losses.Huber(delta=0.5))
history = model.fit(images.astype("float32"), boxes, batch_size=6, shuffle=False, verbose=0)
print("loss", history.history["loss"][-1])
