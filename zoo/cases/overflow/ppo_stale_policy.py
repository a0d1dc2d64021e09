"""PPO on stored transitions. An action that the old policy took with a probability of almost 0 has
a ratio above the range of float32."""

# /// zoo
# cause = "overflow"
# step = 13
# rows = [3]
# fix = "source"
# value = "bounded"
# ///
import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(47)
rng = np.random.default_rng(47)
ACTIONS, CLIP, ENTROPY = 3, 0.2, 0.01

state = rng.normal(size=(160, 4)).astype("float32")
action = rng.integers(0, ACTIONS, 160)
old_logp = np.log(rng.uniform(0.2, 0.5, 160))
advantage = rng.normal(size=160)
old_logp[107], advantage[107] = -117.0, -0.8
memory = np.stack([action, old_logp, advantage], axis=1).astype("float32")


def ppo_loss(memory, logits):
    action, old, adv = memory[:, 0], memory[:, 1], memory[:, 2]
    all_logp = ops.log_softmax(logits, axis=-1)
    logp = ops.sum(all_logp * ops.one_hot(ops.cast(action, "int32"), ACTIONS), axis=-1)
    ratio = ops.exp(logp - old)  # at fault
    surrogate = ops.minimum(ratio * adv, ops.clip(ratio, 1 - CLIP, 1 + CLIP) * adv)
    entropy = -ops.sum(ops.exp(all_logp) * all_logp, axis=-1)
    return -surrogate - ENTROPY * entropy


policy = keras.Sequential(
    [keras.Input((4,)), layers.Dense(24, activation="tanh"), layers.Dense(ACTIONS)]
)
policy.compile(optimizer=keras.optimizers.Adam(3e-4, clipnorm=0.5), loss=ppo_loss)
for sweep in range(2):
    policy.fit(state, memory, batch_size=8, epochs=1, shuffle=False, verbose=0)
