"""A detector that regresses the size of objects where there are some. `err[positive].mean()` of an
image batch without any object is the mean of nothing.
"""

# /// zoo
# cause = "empty-reduction"
# step = 9
# fix = "source"
# value = "undefined"
# backends = ["torch"]
# ///
import keras
import numpy as np
import torch
from keras import layers

keras.utils.set_random_seed(31)
rng = np.random.default_rng(31)
IMAGES, BATCH, SIDE = 112, 8, 8

images = rng.normal(0, 0.1, (IMAGES, SIDE, SIDE, 1)).astype("float32")
has_object = rng.uniform(size=IMAGES) < 0.7
has_object[9 * BATCH : 10 * BATCH] = False
extent = rng.integers(2, 6, IMAGES)
for image, here, size in zip(images, has_object, extent):
    if here:
        image[1 : 1 + size, 1 : 1 + size] += 1.0
labels = np.stack([has_object, np.where(has_object, extent / SIDE, 0)], 1).astype("float32")


def detection_loss(y_true, y_pred):
    positive = y_true[:, 0] > 0.5
    objectness = torch.nn.functional.binary_cross_entropy_with_logits(y_pred[:, 0], y_true[:, 0])
    error = torch.abs(y_pred[:, 1] - y_true[:, 1])
    size = error[positive].mean()  # at fault
    return objectness + 2.0 * size


inputs = keras.Input((SIDE, SIDE, 1))
x = layers.Conv2D(6, 3, strides=2, activation="relu")(inputs)
x = layers.Flatten()(x)
model = keras.Model(inputs, layers.Dense(2)(x))
model.compile(optimizer=keras.optimizers.Adam(3e-3), loss=detection_loss)
model.fit(images, labels, batch_size=BATCH, epochs=2, shuffle=False, verbose=2)
