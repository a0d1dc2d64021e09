"""Improves a policy from recorded play with the clipped surrogate of PPO.

The ratio is exp(new log-probability - old one). For a move that the old policy had nearly
excluded the difference is above 88.7, the ratio is infinite, and for a bad move the minimum keeps
the branch that is not clipped.
"""
# /// zoo
# cause = "overflow"
# step = 10
# rows = [6]
# fix = "source"
# value = "bounded"
# stands_for = ["D06"]
# ///

import keras
import numpy as np
from keras import ops

keras.utils.set_random_seed(1)
rng = np.random.default_rng(1)
NUM_MOVES, CLIP = 4, 0.2


def surrogate(played, policy_logits):
    move = ops.cast(played[:, 0], "int32")
    advantage, old_log_prob = played[:, 1], played[:, 2]
    log_probs = ops.log_softmax(policy_logits)
    new_log_prob = ops.sum(ops.one_hot(move, NUM_MOVES) * log_probs, axis=-1)
    ratio = ops.exp(new_log_prob - old_log_prob)  # at fault
    limited = ops.clip(ratio, 1 - CLIP, 1 + CLIP)
    return -ops.mean(ops.minimum(ratio * advantage, limited * advantage))


states = rng.normal(size=(96, 6)).astype("float32")
moves = rng.integers(NUM_MOVES, size=96)
advantages = rng.normal(size=96)
old_log_probs = np.log(rng.uniform(0.15, 0.35, size=96))
# Move 86 was an exploring one; the old policy itself gave it practically no chance.
advantages[86], old_log_probs[86] = -1.3, -96.0
record = np.stack([moves, advantages, old_log_probs], axis=1).astype("float32")

policy = keras.Sequential(
    [
        keras.Input((6,)),
        keras.layers.Dense(32, activation="tanh"),
        keras.layers.Dense(NUM_MOVES),
    ]
)
policy.compile(optimizer=keras.optimizers.Adam(3e-4), loss=surrogate)
for _ in range(2):
    for start in range(0, 96, 8):
        batch = slice(start, start + 8)
        loss = policy.train_on_batch(states[batch], record[batch])
print("surrogate", float(loss))
