"""Sets the learning rate after each epoch in proportion to how much the loss has improved.

On the easy start of the curriculum the loss reaches exactly 0 twice in a row. 0 / 0 is NaN, the
callback sets it as the learning rate.
"""
# /// zoo
# cause = "bad-update"
# step = 6
# fix = "source"
# value = "undefined"
# stands_for = ["K08"]
# ///

import keras
import numpy as np
from keras import ops


class FollowImprovement(keras.callbacks.Callback):
    def __init__(self, lowest, highest):
        super().__init__()
        self.lowest, self.highest, self.before = lowest, highest, None

    def on_epoch_end(self, epoch, logs=None):
        now = np.float32(logs["loss"])
        if self.before is not None:
            with np.errstate(invalid="ignore"):
                improvement = (self.before - now) / self.before
            rate = self.lowest + (self.highest - self.lowest) * improvement
            self.model.optimizer.learning_rate = rate  # at fault
        self.before = now


def hinge(sign, score):
    """Charge a score that is not on its side of the margin."""
    return ops.mean(ops.relu(1.0 - sign * score), axis=-1)


keras.utils.set_random_seed(0)
rng = np.random.default_rng(50)
signs = rng.choice([-1.0, 1.0], size=(60, 1))
points = (signs * [[2.0, 1.0]] + 0.1 * rng.normal(size=(60, 2))).astype("float32")

model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, kernel_initializer="ones")])
model.compile(keras.optimizers.SGD(0.1), loss=hinge)
follow = FollowImprovement(0.001, 0.1)
history = model.fit(
    points, signs, batch_size=20, epochs=4, shuffle=False, verbose=0, callbacks=[follow]
)
print("loss", history.history["loss"][-1], "weights", model.get_weights()[0].ravel())
