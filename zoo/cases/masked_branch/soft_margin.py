"""Two classes of flowers are separated with a soft margin, log(1 + exp(-margin)).

The author knows that exp overflows and takes the margin itself when it is large. Both sides are
computed all the same; the gradient of the side that is not taken is 0 * inf.
"""

# /// zoo
# cause = "masked-branch"
# step = 6
# rows = [9]
# fix = "source"
# value = "exact"
# stands_for = ["B01", "D10"]
# ///
import keras
import numpy as np
from keras import ops

keras.utils.set_random_seed(0)
rng = np.random.default_rng(44)
side = rng.choice([-1.0, 1.0], size=160)
petals = rng.normal(size=(160, 4)) + 0.8 * side[:, None]
petals[105] = 900.0 * -side[105]  # micrometres, and on the wrong side
petals, side = petals.astype("float32"), side.astype("float32")


def softplus(x):
    small = ops.log(1.0 + ops.exp(x))  # at fault
    return ops.where(x < 30.0, small, x)


class SoftMargin(keras.losses.Loss):
    def call(self, y_true, y_pred):
        margin = ops.reshape(y_true, (-1,)) * ops.reshape(y_pred, (-1,))
        return softplus(-margin)


start = keras.initializers.Constant(0.1)
separator = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, kernel_initializer=start)])
separator.compile(optimizer=keras.optimizers.Adagrad(0.02), loss=SoftMargin())
separator.fit(petals, side, batch_size=16, epochs=4, shuffle=False, verbose=0)
print("loss:", separator.evaluate(petals, side, verbose=0))
