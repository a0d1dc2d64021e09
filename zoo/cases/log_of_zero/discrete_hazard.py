"""Person-period survival with the complementary log-log link. A patient far outside the usual range
has a hazard that rounds to 1 and survives the period."""

# /// zoo
# cause = "log-of-zero"
# step = 21
# rows = [7]
# fix = "source"
# value = "exact"
# ///
import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(31)
rng = np.random.default_rng(31)

x = rng.normal(size=(240, 3)).astype("float32")
event = (rng.random((240, 1)) < 1 - np.exp(-np.exp(x[:, :1] * 0.8 - 1))).astype("float32")
x[175], event[175] = (14.0, 0.0, 0.0), 0.0


def survival_nll(y, z):
    """z is the log of the integrated hazard of the period."""
    h = 1.0 - ops.exp(-ops.exp(z))
    terms = (
        y * ops.log(ops.maximum(h, 1e-7)) + (1.0 - y) * ops.log1p(-h)  # at fault
    )
    return -ops.sum(terms, axis=-1)


model = keras.Sequential(
    [
        keras.Input((3,)),
        layers.Dense(
            1,
            kernel_initializer=keras.initializers.Constant(0.4),
            bias_initializer=keras.initializers.Constant(-1.0),
        ),
    ]
)
model.compile(optimizer=keras.optimizers.Adam(5e-3), loss=survival_nll)
model.fit(x, event, batch_size=8, epochs=1, shuffle=False, verbose=0)
