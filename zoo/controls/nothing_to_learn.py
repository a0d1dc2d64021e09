"""A hinge loss that is 0 for whole batches: gradients of exactly 0 are clipped and divided.

The optimizers of Keras guard their divisions, so a gradient of norm 0 is no trouble.
"""
# /// zoo
# stands_for = ["K07"]
# ///

import keras
import numpy as np

keras.utils.set_random_seed(0)
rng = np.random.default_rng(23)
side = rng.choice([-1.0, 1.0], size=(80, 1))
points = (side * [[3.0, 3.0]] + 0.1 * rng.normal(size=(80, 2))).astype("float32")

for optimizer in (
    keras.optimizers.Adam(0.01, clipnorm=1.0),
    keras.optimizers.Lamb(0.01, global_clipnorm=1.0),
    keras.optimizers.RMSprop(0.01, centered=True),
):
    model = keras.Sequential(
        [keras.Input((2,)), keras.layers.Dense(1, kernel_initializer="ones", name="score")]
    )
    model.compile(optimizer, "hinge")
    history = model.fit(points, side, batch_size=8, epochs=1, verbose=0)
    print(optimizer.name, "loss", history.history["loss"][-1])
