"""A tabular classifier ends in a softmax; its probabilities go through torch.log into nll_loss.

The module was written to return probabilities, and the training takes their logarithm. A
mislabelled outlier has probability 0 for its class.
"""

# /// zoo
# cause = "log-of-zero"
# step = 17
# rows = [1]
# fix = "source"
# value = "exact"
# backends = ["torch"]
# stands_for = ["GRIST 12"]
# ///
import keras
import numpy as np
import torch
from keras import layers
from torch.nn import functional as F

keras.utils.set_random_seed(0)
rng = np.random.default_rng(11)
label = rng.integers(2, size=320)
table = rng.normal(size=(320, 20)) + 0.9 * (2 * label[:, None] - 1)
table[137] = 5000.0 * (1 - 2 * label[137])
table = table.astype("float32")

start = keras.initializers.Constant([[-0.1, 0.1]] * 20)
classifier = keras.Sequential(
    [
        keras.Input((20,)),
        layers.Dropout(0.2),
        layers.Dense(2, kernel_initializer=start),
        layers.Softmax(),
    ]
)


def negative_log_likelihood(y, probabilities):
    log_probabilities = probabilities.log()  # at fault
    return F.nll_loss(log_probabilities, y.reshape(-1).long())


classifier.compile(
    optimizer=keras.optimizers.SGD(0.0001), loss=negative_log_likelihood, metrics=["accuracy"]
)
loader = torch.utils.data.DataLoader(
    torch.utils.data.TensorDataset(torch.from_numpy(table), torch.from_numpy(label)), batch_size=8
)
classifier.fit(loader, epochs=2, verbose=0)
print("loss, accuracy:", classifier.evaluate(table[:128], label[:128], verbose=0))
