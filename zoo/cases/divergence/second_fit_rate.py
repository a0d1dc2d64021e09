"""A linear regression, tuned in a second fit whose learning rate is far above what it can bear."""

# /// zoo
# cause = "divergence"
# step = 58
# fix = "setting"
# ///
import keras
from keras import layers, ops
from sklearn.datasets import load_diabetes

keras.utils.set_random_seed(61)

x, y = load_diabetes(return_X_y=True)
x = ((x - x.mean(axis=0)) / x.std(axis=0)).astype("float32")[:440]
y = y.astype("float32")[:440, None]


def squared_error(y_true, y_pred):
    return ops.mean(ops.square(y_true - y_pred), axis=-1)  # at fault


model = keras.Sequential([keras.Input((10,)), layers.Dense(1)])
model.compile(optimizer=keras.optimizers.SGD(0.01), loss=squared_error)
model.fit(x, y, batch_size=20, epochs=2, shuffle=False, verbose=0)
model.optimizer.learning_rate = 2.5
model.fit(x, y, batch_size=20, epochs=8, shuffle=False, verbose=0)
