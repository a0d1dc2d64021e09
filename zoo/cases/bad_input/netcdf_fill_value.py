"""Sea temperature read without its mask: a grid point on land holds the fill value of netCDF,
9.969e36."""

# /// zoo
# cause = "bad-input"
# step = 13
# rows = [2]
# fix = "data"
# ///
import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(71)
rng = np.random.default_rng(71)
FILL = np.float32(9.96921e36)

sst = rng.normal(15, 4, (160, 6, 6, 1)).astype("float32")
sst[106, 3, 2, 0] = FILL
sst = (sst - 15.0) / 4.0
anomaly = rng.normal(size=(160, 1)).astype("float32")

model = keras.Sequential(
    [
        keras.Input((6, 6, 1)),
        layers.Conv2D(4, 3, activation="relu"),
        layers.Flatten(),
        layers.Dense(1),
    ]
)
model.compile(optimizer=keras.optimizers.SGD(1e-3), loss="mse")
model.fit(sst, anomaly, batch_size=8, epochs=1, shuffle=False, verbose=0)
