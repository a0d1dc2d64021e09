"""Segmentation with a cross entropy of its own. One mask still has 255 for void pixels; looking up
class 255 of 4 gives NaN in JAX.
"""

# /// zoo
# cause = "bad-target"
# step = 6
# rows = [2]
# fix = "data"
# backends = ["jax"]
# ///
import jax
import jax.numpy as jnp
import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(112)
rng = np.random.default_rng(112)
TILES, SIDE, CLASSES, BATCH = 64, 6, 4, 8

classes = rng.integers(0, CLASSES, (TILES, 2, 2)).repeat(3, axis=1).repeat(3, axis=2)
images = np.eye(CLASSES)[classes] + rng.normal(0, 0.3, (TILES, SIDE, SIDE, CLASSES))
images = images.astype("float32")
classes[50, 0, :] = 255
masks = classes.astype("int32")


def pixel_cross_entropy(y_true, logits):
    log_probs = jax.nn.log_softmax(logits, axis=-1)
    index = y_true.astype(jnp.int32)[..., None]
    picked = jnp.take_along_axis(log_probs, index, axis=-1)
    return -picked[..., 0].mean(axis=(1, 2))


net = keras.Sequential(
    [
        keras.Input((SIDE, SIDE, CLASSES)),
        layers.Conv2D(8, 3, padding="same", activation="relu"),
        layers.Conv2D(CLASSES, 1),
    ]
)
net.compile(optimizer=keras.optimizers.Adam(3e-3), loss=pixel_cross_entropy)
net.fit(images, masks, batch_size=BATCH, epochs=2, shuffle=False, verbose=2)
