"""House prices are fitted with the root mean squared logarithmic error of a competition.

log(1 + p) is not defined for p below -1. A house with an unusual age is predicted far below 0.
"""

# /// zoo
# cause = "out-of-domain"
# step = 11
# rows = [10]
# fix = "source"
# value = "undefined"
# stands_for = ["D08"]
# ///
import keras
import numpy as np
from keras import ops

keras.utils.set_random_seed(0)
rng = np.random.default_rng(5)
houses = rng.uniform(0.0, 1.0, size=(192, 4))
houses[142, 3] = 400.0  # age of a castle, in units of a life
price = np.exp(1.0 + houses[:, 0] - 0.5 * np.minimum(houses[:, 3], 1.0)).astype("float32")
houses = houses.astype("float32")

regression = keras.Sequential([keras.Input((4,))], name="prices")
start = keras.initializers.Constant([[1.0], [0.5], [0.5], [-0.3]])
regression.add(keras.layers.Dense(1, kernel_initializer=start, bias_initializer="ones"))


def rmsle(y_true, y_pred):
    difference = (
        ops.log1p(y_pred)  # at fault
        - ops.log1p(ops.reshape(y_true, (-1, 1)))
    )
    return ops.sqrt(ops.mean(ops.square(difference), axis=-1) + 1e-9)


regression.compile(optimizer=keras.optimizers.Adamax(1e-3), loss=rmsle)
regression.fit(houses, price, batch_size=12, epochs=2, shuffle=False, verbose=0)
print("rmsle:", regression.evaluate(houses[:132], price[:132], verbose=0))
