"""Sea-surface temperatures from a NetCDF file. Two cells over land still hold the default fill
value of 9.97e36, which float32 can store and the squared error can not.
"""

# /// zoo
# cause = "bad-input"
# step = 9
# rows = [0, 1]
# fix = "data"
# ///
import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(102)
rng = np.random.default_rng(102)
NC_FILL_FLOAT = 9.9692099683868690e36
CELLS, BATCH = 240, 16

temperature = rng.normal(0, 1, (CELLS, 4)).astype("float32")
salinity = (0.3 * temperature[:, 0] - 0.2 * temperature[:, 3]).astype("float32")
temperature[144:146, 1] = NC_FILL_FLOAT

model = keras.Sequential(
    [
        keras.Input((4,)),
        layers.Dense(8, activation="leaky_relu"),
        layers.Dense(1),
    ]
)
model.compile(optimizer=keras.optimizers.Adam(1e-3), loss="mse")
model.fit(
    temperature,
    salinity[:, None],
    batch_size=BATCH,
    epochs=2,
    shuffle=False,
    verbose=2,
)
