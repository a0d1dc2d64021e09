"""A policy with an entropy bonus, -sum(p log p)."""

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(17)
rng = np.random.default_rng(17)
STEPS, OBS, ACTIONS, BATCH = 256, 4, 3, 16

obs = rng.normal(size=(STEPS, OBS)).astype("float32")
obs[11 * BATCH + 5, 2] *= 8000.0
action = rng.integers(0, ACTIONS, STEPS)
advantage = rng.normal(size=STEPS)
taken = np.eye(ACTIONS)[action]
target = np.concatenate([taken, advantage[:, None]], axis=1).astype("float32")

ENTROPY_WEIGHT = 0.01


def entropy(probs):
    return -ops.sum(probs * ops.log(ops.where(probs > 0, probs, 1.0)), axis=-1)


def policy_loss(y_true, probs):
    one_hot, adv = y_true[:, :ACTIONS], y_true[:, ACTIONS]
    chosen = ops.sum(one_hot * probs, axis=-1)
    surrogate = adv * chosen
    return -surrogate - ENTROPY_WEIGHT * entropy(probs)


actor = keras.Sequential(
    [
        keras.Input((OBS,)),
        layers.Dense(8, activation="leaky_relu"),
        layers.Dense(ACTIONS, activation="softmax"),
    ]
)
actor.compile(optimizer=keras.optimizers.Adam(3e-4), loss=policy_loss)
actor.fit(obs, target, batch_size=BATCH, epochs=2, shuffle=False, verbose=2)
