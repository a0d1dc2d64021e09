"""The next move on a board is predicted; the loss is minus the log of the move that was played.

A record with a wrong unit makes the softmax of the move that was really played exactly 0. The
probability is picked out of the softmax first and its logarithm taken afterwards.
"""

# /// zoo
# cause = "log-of-zero"
# step = 10
# rows = [6]
# fix = "source"
# value = "exact"
# stands_for = ["GRIST 15"]
# ///
import keras
import numpy as np
from keras import layers, ops

NUM_MOVES = 8
keras.utils.set_random_seed(0)
rng = np.random.default_rng(5)
boards = rng.uniform(0, 1, size=(160, 5, 5, 1))
moves = rng.integers(NUM_MOVES, size=160)
boards[86] *= 30000.0
moves[86] = 7  # never preferred by the start weights below
boards = boards.astype("float32")


class Policy(keras.Model):
    def __init__(self):
        super().__init__()
        small = keras.initializers.RandomUniform(0.0, 0.05, seed=1)
        preference = keras.initializers.Constant(np.linspace(0.3, -0.3, NUM_MOVES))
        self.look = layers.Conv2D(6, 3, activation="relu", kernel_initializer=small)
        self.pool = layers.GlobalAveragePooling2D()
        self.choose = layers.Dense(NUM_MOVES, kernel_initializer=preference)

    def call(self, board):
        return ops.softmax(self.choose(self.pool(self.look(board))))


def move_loss(played, policy):
    index = ops.reshape(ops.cast(played, "int32"), (-1, 1))
    chosen = ops.take_along_axis(policy, index, axis=1)
    return ops.mean(-ops.log(chosen))  # at fault


policy = Policy()
policy.compile(optimizer=keras.optimizers.RMSprop(1e-3), loss=move_loss)
policy.fit(boards, moves, batch_size=8, epochs=2, shuffle=False, verbose=0)
print("loss of the other boards:", policy.evaluate(boards[:80], moves[:80], verbose=0))
