"""Question answering from weak supervision: the likelihood of all candidate programs that give the
answer. For one question none does."""

# /// zoo
# cause = "fully-masked-row"
# step = 7
# rows = [5]
# fix = "source"
# value = "bounded"
# ///
import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(43)
rng = np.random.default_rng(43)
CANDIDATES = 6

programs = rng.normal(size=(128, CANDIDATES, 8)).astype("float32")
correct = (rng.random((128, CANDIDATES)) < 0.4).astype("float32")
correct[np.arange(128), rng.integers(0, CANDIDATES, 128)] = 1
correct[61] = 0


def log_marginal(score, keep):
    return ops.logsumexp(ops.where(keep > 0, score, -np.inf), axis=-1)  # at fault


def marginal_nll(correct, score):
    return ops.logsumexp(score, axis=-1) - log_marginal(score, correct)


inputs = keras.Input((CANDIDATES, 8))
h = layers.TimeDistributed(layers.Dense(12, activation="tanh"))(inputs)
model = keras.Model(inputs, layers.Reshape((CANDIDATES,))(layers.Dense(1)(h)))
model.compile(optimizer=keras.optimizers.Adam(2e-3), loss=marginal_nll)
model.fit(programs, correct, batch_size=8, epochs=2, shuffle=False, verbose=0)
