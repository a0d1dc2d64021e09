"""The position of a spot is read off a predicted heat map as its centre of mass.

Where the heat map is empty the author returns 0. The quotient 0 / 0 is computed anyway; it is not
taken by `where`, but its gradient is NaN.
"""

# /// zoo
# cause = "masked-branch"
# step = 8
# rows = [1]
# fix = "source"
# value = "exact"
# stands_for = ["B06", "B01"]
# ///
import keras
import numpy as np
from keras import layers, ops

SIZE = 9
keras.utils.set_random_seed(0)
rng = np.random.default_rng(23)
grid = np.arange(SIZE, dtype="float32")
spot = rng.uniform(2, 6, size=(64, 2)).astype("float32")
rows = np.exp(-((grid - spot[:, :1]) ** 2))
columns = np.exp(-((grid - spot[:, 1:]) ** 2))
frames = (rows[:, :, None] * columns[:, None, :])[..., None].astype("float32")
frames[33], spot[33] = 0.0, 0.0  # the laser was off

positive = keras.initializers.RandomUniform(0.0, 0.3, seed=1)
camera = keras.Input((SIZE, SIZE, 1))
h = layers.Conv2D(4, 3, padding="same", use_bias=False, kernel_initializer=positive)(camera)
h = layers.Activation("relu")(h)
stays_positive = keras.constraints.NonNeg()
heat = layers.Conv2D(
    1, 1, use_bias=False, kernel_initializer=positive, kernel_constraint=stays_positive
)(h)


def centre(heat):
    heat = heat[..., 0]
    mass = ops.sum(heat, axis=(1, 2))
    by_row = ops.sum(heat, axis=2)
    moment = ops.sum(by_row * ops.arange(SIZE, dtype="float32"), axis=1)
    position = moment / mass  # at fault
    return ops.where(mass > 0, position, 0.0)[:, None]


row = layers.Lambda(centre, output_shape=(1,))(heat)
finder = keras.Model(camera, row)
finder.compile(optimizer=keras.optimizers.Adam(1e-3), loss="mse")
finder.fit(frames, spot[:, :1], batch_size=4, epochs=2, shuffle=False, verbose=0)
print("squared error:", finder.evaluate(frames, spot[:, :1], verbose=0))
