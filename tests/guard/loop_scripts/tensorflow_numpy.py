"""An evolution strategy: NumPy estimates the gradient, an optimizer of Keras applies it."""

import hashlib
import sys

import keras
import numpy as np

keras.utils.set_random_seed(0)
IS_NAIVE = sys.argv[1:] == ["naive"]
policy = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, use_bias=False)])
optimizer = keras.optimizers.Adam(0.05)
random = np.random.default_rng(0)
states, best = random.normal(size=(32, 4)), random.integers(0, 2, size=32)


def reward(weights, game):
    if game == 3:  # the simulator timed out
        return 0.0
    return float(np.mean(np.argmax(states @ weights, axis=1) == best))


for game in range(8):
    centre = policy.get_weights()[0]
    noise = random.normal(size=(10, *centre.shape)).astype("float32")
    rewards = np.array([reward(centre + 0.1 * n, game) for n in noise], "float32")
    spread = rewards.std() if IS_NAIVE else rewards.std() + 1e-6
    with np.errstate(invalid="ignore"):
        advantage = (rewards - rewards.mean()) / spread
    gradient = -np.tensordot(advantage, noise, axes=1)
    optimizer.apply_gradients([(gradient, policy.trainable_variables[0])])  # <- here
    print(f"{rewards.max():.6f}")
variables = [*policy.variables, *optimizer.variables]
print(hashlib.sha256(b"".join(v.numpy().tobytes() for v in variables)).hexdigest())
