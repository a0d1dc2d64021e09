"""A ten-class MLP whose author already met the infinite `exp` once and clipped it.

Only the numerator of the softmax was clipped. The exponentials of the denominator still overflow:
the probability becomes 0, and in the gradient that 0 is multiplied by the infinite `exp`.
"""
# /// zoo
# cause = "overflow"
# step = 11
# rows = [5]
# fix = "source"
# value = "undefined"
# stands_for = ["GRIST 11a", "D11"]
# ///

import keras
import numpy as np
from keras import ops as K

keras.utils.set_random_seed(3)
rng = np.random.default_rng(3)


def softmax(logits):
    top = K.exp(K.clip(logits, -80, 80))
    bottom = K.sum(
        K.exp(logits),  # at fault
        axis=1,
        keepdims=True,
    )
    return top / bottom


# Word counts of short notes on ten topics; note 93 is a long report.
topics = rng.integers(0, 10, size=160)
rates = rng.uniform(0.05, 0.4, size=(10, 40))
counts = rng.poisson(rates[topics]).astype("float32")
counts[93] = rng.poisson(rates[topics[93]] * 900)

inputs = keras.Input((40,))
hidden = keras.layers.Dense(64, activation="relu")(inputs)
outputs = keras.layers.Lambda(softmax)(keras.layers.Dense(10)(hidden))
model = keras.Model(inputs, outputs)

model.compile(keras.optimizers.SGD(0.01), "categorical_crossentropy")
targets = keras.utils.to_categorical(topics, 10)
log = model.fit(counts, targets, batch_size=8, epochs=1, shuffle=False, verbose=0)
print(f"cross entropy {log.history['loss'][-1]:.3f}")
