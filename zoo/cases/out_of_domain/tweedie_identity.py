"""Tweedie deviance for insurance claims, with an identity link. Policies with a large rebate get a
negative mean, which has no power of 0.5.
"""

# /// zoo
# cause = "out-of-domain"
# step = 9
# rows = [2, 3]
# fix = "source"
# value = "undefined"
# ///
import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(6)
rng = np.random.default_rng(6)
POLICIES, BATCH = 360, 20
P = 1.5

exposure = rng.uniform(0.5, 1.5, (POLICIES, 3)).astype("float32")
claims = (exposure @ np.array([0.5, 1.0, 0.3]) * rng.gamma(2, 0.5, POLICIES)).astype("float32")
exposure[182:184, 1] = -9.0  # rebates were booked into the wrong column


def tweedie_deviance(y, mu):
    """Up to terms that do not depend on mu."""
    a = y * mu ** (1 - P) / (1 - P)  # at fault
    b = mu ** (2 - P) / (2 - P)
    return -a + b


model = keras.Sequential(
    [
        keras.Input((3,)),
        layers.Dense(1, kernel_initializer=keras.initializers.Constant(0.5)),
    ]
)
model.compile(optimizer=keras.optimizers.SGD(1e-3, momentum=0.5), loss=tweedie_deviance)
model.fit(exposure, claims[:, None], batch_size=BATCH, epochs=3, shuffle=False, verbose=2)
