"""Group-relative policy optimisation: the rewards of the four answers to a question are
standardised. When all four are right, their deviation is 0 and the advantage 0 / 0.
"""

# /// zoo
# cause = "division-by-zero"
# step = 5
# rows = [8, 9, 10, 11]
# fix = "source"
# value = "undefined"
# ///
import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(12)
rng = np.random.default_rng(12)
QUESTIONS, GROUP, VOCAB = 60, 4, 6
PER_BATCH = 5  # questions

prompt = np.repeat(rng.normal(size=(QUESTIONS, 8)), GROUP, axis=0).astype("float32")
answer = rng.integers(0, VOCAB, QUESTIONS * GROUP)
reward = rng.uniform(0, 1, (QUESTIONS, GROUP)).round(2)
reward[5 * PER_BATCH + 2] = 1.0
targets = np.stack([answer, reward.reshape(-1)], axis=1).astype("float32")


def group_advantages(reward):
    groups = ops.reshape(reward, (-1, GROUP))
    centred = groups - ops.mean(groups, axis=1, keepdims=True)
    scaled = centred / ops.std(groups, axis=1, keepdims=True)  # at fault
    return ops.reshape(scaled, (-1,))


def grpo_loss(y_true, logits):
    answer = ops.cast(y_true[:, 0], "int32")
    log_prob = -keras.losses.sparse_categorical_crossentropy(answer, logits, from_logits=True)
    return -group_advantages(y_true[:, 1]) * log_prob


policy = keras.Sequential([keras.Input((8,)), layers.Dense(16, "silu"), layers.Dense(VOCAB)])
policy.compile(optimizer=keras.optimizers.Adam(1e-3, clipnorm=1.0), loss=grpo_loss)
policy.fit(prompt, targets, batch_size=PER_BATCH * GROUP, epochs=2, shuffle=False, verbose=2)
