"""Choice of a means of transport among those that are available. For one trip the table of
availability is empty."""

# /// zoo
# cause = "fully-masked-row"
# step = 12
# rows = [0]
# fix = "source"
# value = "undefined"
# backends = ["tensorflow"]
# ///
import keras
import numpy as np
import tensorflow as tf

keras.utils.set_random_seed(45)
rng = np.random.default_rng(45)
MODES = 4

trips = rng.normal(size=(160, 5)).astype("float32")
available = (rng.random((160, MODES)) < 0.7).astype("float32")
taken = rng.integers(0, MODES, 160)
available[np.arange(160), taken] = 1
available[96] = 0


class ChoiceModel(keras.Model):
    def __init__(self):
        super().__init__()
        self.utility = keras.layers.Dense(MODES)

    def call(self, x):
        return self.utility(x)

    def train_step(self, data):
        x, open_, mode = data
        with tf.GradientTape() as tape:
            utility = self(x, training=True)
            masked = tf.where(open_ > 0, utility, -np.inf)
            logp = tf.nn.log_softmax(masked, axis=-1)  # at fault
            loss = -tf.reduce_mean(tf.gather(logp, mode, axis=1, batch_dims=1))
        grads = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(grads, self.trainable_variables))
        return {"loss": loss}


def batches():
    for start in range(0, 160, 8):
        rows = slice(start, start + 8)
        yield trips[rows], available[rows], taken[rows]


spec = (tf.TensorSpec((8, 5)), tf.TensorSpec((8, MODES)), tf.TensorSpec((8,), tf.int64))
model = ChoiceModel()
model.compile(optimizer=keras.optimizers.SGD(0.1))
model.fit(tf.data.Dataset.from_generator(batches, output_signature=spec), epochs=2, verbose=0)
