"""Q-learning with a linear head on one-hot-like features, bootstrapped from its own estimates
without a target network. The step is too long, so every round multiplies the values.
"""

# /// zoo
# cause = "divergence"
# step = 13
# fix = "setting"
# ///
import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(92)
rng = np.random.default_rng(92)
STATES, FEATURES, ACTIONS, BATCH = 256, 6, 2, 32
GAMMA = 0.97
STEP_SIZE = 1.0

tiles = rng.uniform(0.5, 4.5, (STATES, FEATURES)).astype("float32")
successor = rng.permutation(STATES)
reward = rng.uniform(0, 1, STATES).astype("float32")


def td_error(y_true, q):
    target, action = y_true[:, 0], ops.cast(y_true[:, 1], "int32")
    taken = ops.sum(q * ops.one_hot(action, ACTIONS), axis=-1)
    return ops.square(target - taken)  # at fault


q_net = keras.Sequential(
    [keras.Input((FEATURES,)), layers.Dense(ACTIONS, kernel_initializer="zeros")]
)
q_net.compile(optimizer=keras.optimizers.SGD(STEP_SIZE), loss=td_error)

for sweep in range(5):
    for start in range(0, STATES, BATCH):
        rows = slice(start, start + BATCH)
        future = np.asarray(q_net.predict_on_batch(tiles[successor[rows]]))
        target = reward[rows] + GAMMA * future.max(axis=1)
        action = rng.integers(0, ACTIONS, BATCH)
        y = np.stack([target, action], axis=1).astype("float32")
        loss = q_net.train_on_batch(tiles[rows], y)
    print("sweep", sweep, "td error", float(loss))
