"""Customer lifetime value with a hurdle: a logistic part for 'bought at all' and a log-normal part
for how much. The log of a spend of 0 is thrown away by `where`, its gradient is not.
"""

# /// zoo
# cause = "masked-branch"
# step = 6
# rows = [0, 5]
# fix = "source"
# value = "exact"
# ///
import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(21)
rng = np.random.default_rng(21)
CUSTOMERS, BATCH = 300, 15
profile = rng.normal(size=(CUSTOMERS, 5)).astype("float32")
spend = np.exp(1.0 + profile @ np.array([0.4, -0.2, 0.1, 0.0, 0.3]) + rng.normal(0, 0.3, CUSTOMERS))
churned = [90, 95, 188, 251]
spend[churned] = 0.0
spend = spend.astype("float32")[:, None]


def hurdle_lognormal(spend, head):
    logit, mu, raw_sigma = head[:, :1], head[:, 1:2], head[:, 2:]
    sigma = ops.softplus(raw_sigma) + 0.1
    bought = ops.cast(spend > 0, "float32")
    classify = keras.losses.binary_crossentropy(bought, ops.sigmoid(logit))
    z = (ops.log(spend) - mu) / sigma  # at fault
    amount = ops.where(spend > 0, 0.5 * ops.square(z) + ops.log(sigma), 0.0)
    return classify + ops.squeeze(amount, axis=-1)


inputs = keras.Input((5,))
x = layers.Dense(16, activation="relu")(inputs)
x = layers.Dense(3)(x)
model = keras.Model(inputs, x)
model.compile(optimizer="adam", loss=hurdle_lognormal)
model.fit(profile, spend, epochs=2, batch_size=BATCH, shuffle=False, verbose=2)
