"""The forward algorithm of a hidden Markov model in log space, starting in state 0: the others
begin at -inf."""

import keras
import numpy as np
from keras import ops

keras.utils.set_random_seed(4)
rng = np.random.default_rng(4)
STATES, SYMBOLS, T = 3, 5, 8
START = np.array([0.0, -np.inf, -np.inf], "float32")


class HMM(keras.Model):
    def __init__(self):
        super().__init__()
        self.trans = self.add_weight(
            shape=(STATES, STATES), initializer="glorot_uniform", name="trans"
        )
        self.emit = self.add_weight(
            shape=(SYMBOLS, STATES), initializer="glorot_uniform", name="emit"
        )

    def call(self, seq):
        trans = ops.log_softmax(self.trans, axis=1)
        emit = ops.log_softmax(self.emit, axis=0)
        alpha = ops.convert_to_tensor(START) + ops.take(emit, seq[:, 0], axis=0)
        for t in range(1, T):
            alpha = ops.logsumexp(alpha[:, :, None] + trans[None], axis=1) + ops.take(
                emit, seq[:, t], axis=0
            )
        return ops.logsumexp(alpha, axis=-1, keepdims=True)


seq = rng.integers(0, SYMBOLS, (160, T)).astype("int32")
model = HMM()
model.compile(optimizer=keras.optimizers.Adam(1e-2), loss=lambda y, logp: -ops.mean(logp, axis=-1))
model.fit(seq, np.zeros((160, 1), "float32"), batch_size=8, epochs=2, shuffle=False, verbose=0)
