"""Trains a restricted Boltzmann machine on digits with one step of contrastive divergence.

The free energy contains log(1 + exp(W v + c)), the softplus written out. Pixels run from 0 to 16,
but one picture was added later, as 8 bit. Its argument passes 88.7 and `exp` is infinite.
"""
# /// zoo
# cause = "overflow"
# step = 17
# rows = [30]
# fix = "source"
# value = "exact"
# stands_for = ["GRIST 22", "GRIST 51", "D10"]
# ///

import keras
import numpy as np
from keras import ops
from sklearn.datasets import load_digits


class RBM(keras.Model):
    def __init__(self, num_visible, num_hidden):
        super().__init__()
        rng = np.random.default_rng(0)
        self.kernel = self.add_weight(shape=(num_visible, num_hidden), name="kernel")
        self.kernel.assign(0.02 * rng.standard_normal((num_visible, num_hidden)))
        self.visible_bias = self.add_weight(
            shape=(num_visible,), initializer="zeros", name="visible_bias"
        )
        self.hidden_bias = self.add_weight(
            shape=(num_hidden,), initializer="zeros", name="hidden_bias"
        )

    def call(self, v):
        """The mean of the visible units after one step down and up again."""
        hidden = ops.sigmoid(v @ self.kernel + self.hidden_bias)
        return 16 * ops.sigmoid(hidden @ ops.transpose(self.kernel) + self.visible_bias)

    def free_energy(self, v):
        wx_b = ops.matmul(v, self.kernel) + self.hidden_bias
        hidden_term = ops.sum(ops.log(1 + ops.exp(wx_b)), axis=1)  # at fault
        return -hidden_term - ops.sum(v * self.visible_bias, axis=1)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        v_model = ops.stop_gradient(y_pred)
        return ops.mean(self.free_energy(x)) - ops.mean(self.free_energy(v_model))


digits = load_digits().data.astype("float32")
digits[1118] *= 255 / 16
rbm = RBM(64, 32)
rbm.compile(optimizer=keras.optimizers.SGD(0.01))
history = rbm.fit(digits, batch_size=64, epochs=1, shuffle=False, verbose=0)
print("difference of free energies", history.history["loss"][-1])
