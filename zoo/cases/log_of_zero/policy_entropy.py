"""A policy gradient is regularised by the entropy of the policy, -sum(p log p).

In one state the policy is so sure that another action has probability 0. The limit of p log p is
0, but 0 * log(0) is NaN.
"""

# /// zoo
# cause = "log-of-zero"
# step = 14
# rows = [7]
# fix = "source"
# value = "exact"
# stands_for = ["D07", "GRIST 15"]
# ///
import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(0)
rng = np.random.default_rng(61)
states = rng.normal(size=(256, 6))
states[119] = [800.0, 0, 0, 0, 0, 0]  # one sensor at its limit
actions = rng.integers(3, size=256)
actions[119] = 0
advantages = rng.normal(scale=0.1, size=256)
states = states.astype("float32")
steering = np.zeros((6, 3))
steering[0] = [0.5, 0.0, -0.5]


class Agent(keras.Model):
    def __init__(self, bonus):
        super().__init__()
        self.bonus = bonus
        self.score = layers.Dense(3, kernel_initializer=keras.initializers.Constant(steering))

    def call(self, state):
        return self.score(state)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        taken = keras.losses.sparse_categorical_crossentropy(y, y_pred, from_logits=True)
        policy = ops.softmax(y_pred)
        entropy = -ops.sum(
            policy * ops.log(policy),  # at fault
            axis=-1,
        )
        return ops.mean(sample_weight * taken - self.bonus * entropy)


agent = Agent(bonus=0.01)
agent.compile(optimizer=keras.optimizers.Adam(1e-4))
agent.fit(
    states, actions, sample_weight=advantages, batch_size=8, epochs=2, shuffle=False, verbose=0
)
print("probabilities in the first state:", ops.softmax(agent.predict(states[:1], verbose=0)))
