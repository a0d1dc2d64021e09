"""Forecasts the logarithm of sales from a stream of days; a day without sales is -inf."""
# /// zoo
# cause = "bad-target"
# step = 5
# rows = [3]
# fix = "data"
# backends = ["plain-torch"]
# stands_for = ["I05", "plain-torch 1.2"]
# ///

import warnings

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset

warnings.simplefilter("ignore", RuntimeWarning)


class SalesStream(IterableDataset):
    def __init__(self, days):
        self.days = days

    def __iter__(self):
        rng = np.random.default_rng(12)
        for day in range(self.days):
            weather = rng.normal(size=4).astype(np.float32)
            sold = 0 if day == 5 * 8 + 3 else rng.integers(1, 30)
            yield weather, np.float32(np.log(sold))


def main(epochs=1):
    torch.manual_seed(12)
    model = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for _ in range(epochs):
        for step, (weather, log_sold) in enumerate(DataLoader(SalesStream(120), batch_size=8)):
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(model(weather).squeeze(1), log_sold)
            loss.backward()
            optimizer.step()
            if step % 5 == 0:
                print(step, loss.item())


if __name__ == "__main__":
    main()
