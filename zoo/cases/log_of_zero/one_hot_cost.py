"""Softmax regression on four features, with the cost of the well-known PyTorch lessons.

y_one_hot * -log(softmax(z)): with a learning rate for scaled inputs and inputs that are not, the
second step has classes whose probability is 0.
"""

# /// zoo
# cause = "log-of-zero"
# step = 1
# fix = "source"
# value = "exact"
# backends = ["torch"]
# stands_for = [
#   "GRIST 23", "GRIST 27", "GRIST 32", "GRIST 34", "GRIST 46", "GRIST 47", "GRIST 54", "GRIST 57",
# ]
# ///
import keras
import numpy as np
import torch
import torch.nn.functional as F

keras.utils.set_random_seed(0)
x_train = np.array(
    [
        [120, 2, 10, 1],
        [200, 1, 30, 2],
        [310, 1, 30, 4],
        [415, 1, 50, 5],
        [170, 5, 50, 5],
        [120, 5, 60, 6],
        [160, 6, 60, 6],
        [170, 7, 70, 7],
    ],
    "float32",
)
y_train = np.array([2, 2, 2, 1, 1, 1, 0, 0])


class SoftmaxRegression(keras.Model):
    def __init__(self):
        super().__init__()
        self.linear = keras.layers.Dense(3, kernel_initializer="zeros")

    def call(self, x):
        return self.linear(x)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        hypothesis = F.softmax(y_pred, dim=1)
        y_one_hot = torch.zeros_like(hypothesis)
        y_one_hot.scatter_(1, torch.as_tensor(y).long().reshape(-1, 1), 1)
        cost = (y_one_hot * -torch.log(hypothesis)).sum(dim=1).mean()  # at fault
        return cost


model = SoftmaxRegression()
model.compile(optimizer=keras.optimizers.SGD(0.1))
for _ in range(20):
    cost = model.train_on_batch(x_train, y_train)
print("cost:", float(cost))
