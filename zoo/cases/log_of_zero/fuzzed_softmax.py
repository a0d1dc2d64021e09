"""A network with a softmax of its own, logits limited from above, and the logarithm of the result.

The limit keeps exp finite. It does nothing against a logit that is far below the others: its exp
is 0, and so is its probability.
"""

# /// zoo
# cause = "log-of-zero"
# step = 9
# rows = [4]
# fix = "source"
# value = "exact"
# stands_for = ["GRIST 11c", "GRIST 16b", "D11"]
# ///
import keras
import numpy as np
from keras import ops
from sklearn.datasets import load_digits

keras.utils.set_random_seed(0)
digits = load_digits()
inputs = (digits.data[:240] / 16).astype("float32")
inputs[76] *= 300.0
targets = np.eye(10, dtype="float32")[digits.target[:240]]

model = keras.Sequential(name="fuzzed")
model.add(keras.Input((64,)))
model.add(keras.layers.Dense(40, activation="relu"))
model.add(keras.layers.Dense(20, activation="relu"))
model.add(keras.layers.Dense(10, name="logits"))


def hand_softmax(logits):
    top = ops.max(logits, axis=-1, keepdims=True)
    powers = ops.exp(logits - top)
    return powers / ops.sum(powers, axis=-1, keepdims=True)


class CrossEntropy(keras.losses.Loss):
    def call(self, y_true, y_pred):
        probabilities = hand_softmax(y_pred)
        logs = ops.log(ops.abs(probabilities))  # at fault
        return -ops.sum(y_true * logs, axis=-1)


model.compile(optimizer=keras.optimizers.SGD(0.01, clipvalue=1.0), loss=CrossEntropy())
model.fit(inputs, targets, batch_size=8, epochs=2, shuffle=False, verbose=0)
print("loss:", model.evaluate(inputs[:72], targets[:72], verbose=0))
