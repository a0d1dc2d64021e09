"""Digits are classified in a training step of the user's own, on TensorFlow.

The step takes the logarithm of the softmax that the model returns. A scan that was not divided by
255 gives a probability of exactly 0 for some classes.
"""

# /// zoo
# cause = "log-of-zero"
# step = 14
# rows = [11]
# fix = "source"
# value = "exact"
# backends = ["tensorflow"]
# stands_for = ["GRIST 45b", "GRIST 55", "GRIST 58", "GRIST 59", "GRIST 60"]
# ///
import keras
import numpy as np
import tensorflow as tf
from sklearn.datasets import load_digits

keras.utils.set_random_seed(0)
images, digit = load_digits(return_X_y=True)
images = (images[:480] / 16).astype("float32")
images[235] *= 255.0 * 16
y_ = np.eye(10, dtype="float32")[digit[:480]]


class Classifier(keras.Model):
    def __init__(self):
        super().__init__()
        self.hidden = keras.layers.Dense(24, activation="relu")
        self.head = keras.layers.Dense(10)

    def call(self, x):
        return tf.nn.softmax(self.head(self.hidden(x)))

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            p = self(x, training=True)
            loss = -tf.reduce_mean(
                tf.reduce_sum(y * tf.math.log(p), axis=1)  # at fault
            )
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        return {"loss": loss}


model = Classifier()
model.compile(optimizer=keras.optimizers.Adam(1e-3))
dataset = tf.data.Dataset.from_tensor_slices((images, y_)).batch(16)
history = model.fit(dataset, epochs=2, verbose=0)
print("loss by epoch:", history.history["loss"])
