"""A net with sinc units. At 0 the quotient is thrown away by where, but its derivative is not."""

# /// zoo
# cause = "masked-branch"
# step = 11
# rows = [5]
# fix = "source"
# value = "exact"
# ///
import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(2)
rng = np.random.default_rng(2)


def sinc(x):
    return ops.where(x == 0, 1.0, ops.sin(x) / x)  # at fault


points = rng.uniform(-3, 3, (128, 2)).astype("float32")
points[93] = 0.0  # the centre of the aperture
field = np.sinc(points[:, :1]) * np.sinc(points[:, 1:])

model = keras.Sequential(
    [
        keras.Input((2,)),
        layers.Dense(24, activation=sinc, use_bias=False),
        layers.Dense(1),
    ]
)
model.compile(optimizer=keras.optimizers.Adam(5e-3), loss="mse")
history = model.fit(points, field, batch_size=8, epochs=2, shuffle=False, verbose=0)
