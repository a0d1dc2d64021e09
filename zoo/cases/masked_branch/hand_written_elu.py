"""An ELU is written with `where` for a network on tabular data.

exp(x) - 1 is meant for negative x only, but it is computed for all. A feature that was not scaled
makes x exceed 88: exp gives inf, `where` does not take it, and its gradient 0 * inf is NaN.
"""

# /// zoo
# cause = "masked-branch"
# step = 10
# rows = [3]
# fix = "source"
# value = "exact"
# stands_for = ["B01"]
# ///
import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(0)
rng = np.random.default_rng(0)
features = rng.normal(size=(192, 6)).astype("float32")
price = (np.tanh(features[:, :1]) + 0.3 * features[:, 1:2]).astype("float32")
features[163, 2] = 2500.0  # metres, where the others are in kilometres


def elu(x, alpha=1.0):
    negative_part = alpha * (ops.exp(x) - 1.0)  # at fault
    return ops.where(x > 0, x, negative_part)


model = keras.Sequential(
    [
        keras.Input((6,)),
        layers.Dense(16, activation=elu),
        layers.Dense(16, activation=elu),
        layers.Dense(1),
    ]
)
# The outlier shall not move the fit.
model.compile(optimizer=keras.optimizers.Adam(2e-3), loss=keras.losses.Huber(delta=0.5))
model.fit(features, price, batch_size=16, epochs=3, shuffle=False, verbose=0)
print("loss:", model.evaluate(features, price, verbose=0))
