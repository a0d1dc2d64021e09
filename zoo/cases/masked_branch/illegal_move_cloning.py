"""Behaviour cloning of a board game. Illegal moves have a log-probability of -inf, and 0 times
-inf is NaN as soon as a position has one."""

# /// zoo
# cause = "masked-branch"
# step = 8
# rows = [2, 7]
# fix = "source"
# value = "exact"
# ///
import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(8)
rng = np.random.default_rng(8)
MOVES = 5

boards = rng.normal(size=(160, 9)).astype("float32")
move = rng.integers(0, MOVES, 160)
legal = np.ones((160, MOVES), "float32")
legal[66, (move[66] + 1) % MOVES] = 0
legal[71, (move[71] + 2) % MOVES] = 0
legal[71, (move[71] + 3) % MOVES] = 0
chosen = keras.utils.to_categorical(move, MOVES)


class MoveNet(keras.Model):
    def __init__(self):
        super().__init__()
        self.body = layers.Dense(24, activation="tanh")
        self.head = layers.Dense(MOVES)

    def call(self, inputs):
        logits = self.head(self.body(inputs["board"]))
        return ops.where(inputs["legal"] > 0, logits, -np.inf)


def cloning_loss(y_true, logits):
    return -ops.sum(y_true * ops.log_softmax(logits, axis=-1), axis=-1)  # at fault


model = MoveNet()
model.compile(optimizer="rmsprop", loss=cloning_loss)
model.fit(
    {"board": boards, "legal": legal}, chosen, batch_size=8, epochs=1, shuffle=False, verbose=0
)
