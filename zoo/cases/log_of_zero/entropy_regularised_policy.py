"""Advantage actor for a trading desk, with an entropy bonus."""

# /// zoo
# cause = "log-of-zero"
# step = 5
# rows = [4]
# fix = "source"
# value = "exact"
# ///

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(8)
rng = np.random.default_rng(8)
ACTIONS, BATCH = 4, 32

states = rng.normal(size=(512, 10)).astype("float32")
states[5 * BATCH + 4] *= 3000.0  # a block trade
taken = rng.integers(0, ACTIONS, 512)
advantage = (0.5 * np.tanh(states[np.arange(512), taken])).astype("float32")
targets = np.concatenate([np.eye(ACTIONS)[taken], advantage[:, None]], axis=1).astype("float32")


class ActorLoss(keras.losses.Loss):
    def __init__(self, bonus=0.01):
        super().__init__(name="actor")
        self.bonus = bonus

    def call(self, y_true, logits):
        action, adv = y_true[:, :ACTIONS], y_true[:, ACTIONS]
        p = ops.softmax(logits)
        log_p = ops.log(p)  # at fault
        pick = ops.sum(ops.where(action > 0, log_p, 0.0), axis=-1)
        entropy = -ops.sum(p * log_p, axis=-1)
        return -adv * pick - self.bonus * entropy


actor = keras.Sequential(
    [layers.Input((10,)), layers.Dense(32, activation="relu"), layers.Dense(ACTIONS)]
)
actor.compile(optimizer=keras.optimizers.Adam(3e-3), loss=ActorLoss())
actor.fit(states, targets, batch_size=BATCH, epochs=2, shuffle=False, verbose=0)
