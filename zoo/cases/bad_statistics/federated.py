"""Two hospitals train in turn; a callback pools their batch norm statistics."""

# /// zoo
# cause = "bad-statistics"
# step = 12
# fix = "source"
# value = "undefined"
# ///

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(42)
rng = np.random.default_rng(42)
BATCH = 24
scale = {"north": 1.0, "south": 1.0}
shift = {"north": -3.0, "south": 3.0}
data = {}
for name in scale:
    raw = rng.normal(size=(BATCH * 6, 5))
    data[name] = ((raw * scale[name] + shift[name]).astype("float32"), raw[:, :1].astype("float32"))


class PoolStatistics(keras.callbacks.Callback):
    """Freeze the normalisation to the statistics of all sites."""

    def __init__(self, sites):
        super().__init__()
        self.means = np.stack([x.mean(0) for x, _ in sites])
        self.variances = np.stack([x.var(0) for x, _ in sites])

    def on_train_begin(self, logs=None):
        within = self.variances.mean(0)
        between = self.means.var(0)
        bn = self.model.get_layer("bn")
        bn.moving_mean.assign(self.means.mean(0))
        bn.moving_variance.assign(within - between)


model = keras.Sequential(
    [
        keras.Input((5,)),
        layers.BatchNormalization(name="bn"),  # at fault
        layers.Dense(8, "swish"),
        layers.Dense(1),
    ]
)
model.compile("adam", "mae")
model.fit(*data["north"], batch_size=BATCH, epochs=2, shuffle=False, verbose=0)
model.get_layer("bn").trainable = False
model.compile("adam", "mae")
pool = PoolStatistics(list(data.values()))
model.fit(*data["south"], batch_size=BATCH, epochs=2, shuffle=False, callbacks=[pool], verbose=0)
