"""Finds tumours in slices of a scan with a dice loss, without the smoothing term.

The output is a hard sigmoid, exactly 0 for dark pixels. For a slice without a tumour, mask and
prediction are both empty, and the dice is 0 / 0.
"""
# /// zoo
# cause = "empty-reduction"
# step = 5
# rows = [2]
# fix = "source"
# value = "undefined"
# stands_for = ["E07"]
# ///

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(0)


def dice_loss(y_true, y_pred):
    axes = (1, 2, 3)
    overlap = 2.0 * ops.sum(y_true * y_pred, axis=axes)
    size = ops.sum(y_true, axis=axes) + ops.sum(y_pred, axis=axes)
    return 1.0 - overlap / size  # at fault


rng = np.random.default_rng(5)
line, column = np.mgrid[:10, :10]
centre = rng.uniform(3, 7, size=(32, 2, 1, 1))
tumour = (line - centre[:, 0]) ** 2 + (column - centre[:, 1]) ** 2 < 5
tumour[22] = False
slices = tumour + rng.uniform(0, 0.1, size=tumour.shape)
x, y = slices[..., None].astype("float32"), tumour[..., None].astype("float32")

# Starts as a threshold at half of the brightness.
pixelwise = layers.Conv2D(
    1,
    1,
    activation="hard_sigmoid",
    kernel_initializer=keras.initializers.Constant(8.0),
    bias_initializer=keras.initializers.Constant(-4.0),
)
model = keras.Sequential([keras.Input((10, 10, 1)), pixelwise])
model.compile(optimizer=keras.optimizers.SGD(0.01), loss=dice_loss)
history = model.fit(x, y, batch_size=4, epochs=2, shuffle=False, verbose=0)
print("dice loss", history.history["loss"][-1])
