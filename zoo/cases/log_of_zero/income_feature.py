"""Credit defaults are predicted from the logarithm of income, taken by a Lambda layer.

Incomes were positive in the sample that the model was tried on. One applicant has none, and the
logarithm of 0 enters the network as -inf.
"""

# /// zoo
# cause = "log-of-zero"
# step = 9
# rows = [14]
# fix = "source"
# value = "bounded"
# stands_for = ["D01"]
# ///
import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(0)
rng = np.random.default_rng(73)
income = rng.lognormal(mean=10.0, sigma=0.6, size=(200, 2))
income[158, 1] = 0.0  # no second income
default = (income.sum(axis=1) < 40000).astype("float32")
income = income.astype("float32")

applicant = keras.Input((2,), name="income")
log_income = layers.Lambda(lambda v: keras.ops.log(v))(applicant)  # at fault
h = layers.BatchNormalization()(log_income)
h = layers.Dense(8, activation="relu")(h)
risk = layers.Dense(1)(h)
scorecard = keras.Model(applicant, risk)
scorecard.compile(
    optimizer="adam", loss=keras.losses.BinaryCrossentropy(from_logits=True), metrics=["mse"]
)
scorecard.fit(income, default, batch_size=16, epochs=2, shuffle=False, verbose=0)
print("loss, mse:", scorecard.evaluate(income, default, verbose=0))
