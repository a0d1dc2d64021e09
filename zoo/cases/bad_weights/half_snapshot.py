"""The best weights are kept as float16 to save disk, and restored at the start of the second epoch.
The bias of the output, a city's population, is infinite in float16.
"""

# /// zoo
# cause = "bad-weights"
# step = 12
# fix = "source"
# value = "exact"
# ///
import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(122)
rng = np.random.default_rng(122)
CITIES, BATCH = 120, 10
x = rng.normal(size=(CITIES, 3)).astype("float32")
population = (150_000 + 20_000 * x[:, 0] + rng.normal(0, 500, CITIES)).astype("float32")


class RestoreBest(keras.callbacks.Callback):
    def __init__(self, path):
        super().__init__()
        self.path, self.best = path, np.inf

    def on_epoch_end(self, epoch, logs=None):
        if logs["loss"] < self.best:
            self.best = logs["loss"]
            with np.errstate(over="ignore"):
                packed = [w.astype("float16") for w in self.model.get_weights()]
            np.savez(self.path, *packed)

    def on_epoch_begin(self, epoch, logs=None):
        if epoch:
            with np.load(self.path) as kept:
                self.model.set_weights([kept[name].astype("float32") for name in kept.files])


typical = keras.initializers.Constant(150_000.0)
model = keras.Sequential(
    [keras.Input((3,)), layers.Dense(8, "relu"), layers.Dense(1, bias_initializer=typical)]
)
model.compile(optimizer=keras.optimizers.Adam(1.0), loss="mae")
model.fit(
    x,
    population[:, None],
    batch_size=BATCH,
    epochs=3,
    shuffle=False,
    verbose=2,
    callbacks=[RestoreBest("best.npz")],
)
