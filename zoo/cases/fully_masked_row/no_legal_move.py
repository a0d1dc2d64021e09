"""Imitation of a board-game engine, with illegal moves masked out of the policy. A stalemate was
left in the records: no move is legal, and log_softmax has only -inf to work with.
"""

# /// zoo
# cause = "fully-masked-row"
# step = 12
# rows = [0]
# fix = "source"
# value = "undefined"
# ///
import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(50)
rng = np.random.default_rng(50)
POSITIONS, SQUARES, MOVES, BATCH = 200, 9, 5, 10

board = rng.choice([-1.0, 0.0, 1.0], (POSITIONS, SQUARES)).astype("float32")
legal = rng.uniform(size=(POSITIONS, MOVES)) < 0.6
played = rng.integers(0, MOVES, POSITIONS)
legal[np.arange(POSITIONS), played] = True
legal[12 * BATCH] = False
legal = legal.astype("float32")
result = rng.choice([-1.0, 1.0], POSITIONS).astype("float32")


class LegalLogProbs(layers.Layer):
    """Log-probabilities of the moves, -60 for those that are not legal."""

    def call(self, logits, legal):
        masked = ops.where(legal > 0, logits, -np.inf)
        log_probs = masked - ops.logsumexp(masked, axis=-1, keepdims=True)  # at fault
        return ops.maximum(log_probs, -60.0)


def played_move(y_true, log_probs):
    return -ops.sum(ops.one_hot(ops.reshape(y_true, (-1,)), MOVES) * log_probs, axis=-1)


board_in = keras.Input((SQUARES,), name="board")
legal_in = keras.Input((MOVES,), name="legal")
trunk = layers.Dense(24, activation="relu")(board_in)
policy = LegalLogProbs(name="policy")(layers.Dense(MOVES)(trunk), legal_in)
value = layers.Dense(1, activation="tanh", name="value")(trunk)
model = keras.Model([board_in, legal_in], {"policy": policy, "value": value})
model.compile(optimizer=keras.optimizers.Adam(1e-3), loss={"policy": played_move, "value": "mse"})
model.fit(
    {"board": board, "legal": legal},
    {"policy": played.astype("int32"), "value": result},
    batch_size=BATCH,
    epochs=1,
    shuffle=False,
    verbose=2,
)
