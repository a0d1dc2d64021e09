"""Lesions are segmented with a Dice loss without a smoothing term.

A scan without a lesion, on a black image, has neither target nor predicted pixels: 0 / 0.
"""

# /// zoo
# cause = "empty-reduction"
# step = 9
# rows = [2]
# fix = "source"
# value = "undefined"
# stands_for = ["GRIST 17"]
# ///
import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(0)
rng = np.random.default_rng(50)
yy, xx = np.mgrid[:10, :10]
place = rng.uniform(2, 8, size=(64, 2, 1, 1))
lesion = ((yy - place[:, 0]) ** 2 + (xx - place[:, 1]) ** 2 < 6).astype("float32")[..., None]
scan = (0.2 + 0.7 * lesion + 0.1 * rng.uniform(size=lesion.shape)).astype("float32")
scan[38], lesion[38] = 0.0, 0.0

segmenter = keras.Sequential(
    [
        keras.Input((10, 10, 1)),
        layers.Conv2D(6, 3, padding="same", use_bias=False, activation="relu"),
        layers.Conv2D(1, 1, use_bias=False, kernel_initializer="ones"),
        layers.ReLU(max_value=1.0),
    ]
)


class DiceLoss(keras.losses.Loss):
    def call(self, mask, predicted):
        axes = (1, 2, 3)
        common = ops.sum(mask * predicted, axis=axes)
        size = ops.sum(mask, axis=axes) + ops.sum(predicted, axis=axes)
        dice = 2.0 * common / size  # at fault
        return 1.0 - dice


segmenter.compile(optimizer=keras.optimizers.Adam(2e-3), loss=DiceLoss())
segmenter.fit(scan, lesion, batch_size=4, epochs=2, shuffle=False, verbose=0)
print("Dice loss:", segmenter.evaluate(scan, lesion, verbose=0))
