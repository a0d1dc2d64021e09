"""A focal loss with an exponent of one half: (1 - p) ** 0.5 weighs the easy samples down.

One sample is so easy that p is 1, where the power has no derivative.
"""
# /// zoo
# cause = "singular-gradient"
# step = 11
# rows = [2]
# fix = "source"
# value = "exact"
# backends = ["plain-torch"]
# stands_for = ["C05", "plain-torch 1.2"]
# ///

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def focal_loss(logits, target, gamma=0.5):
    signed = torch.where(target > 0, logits, -logits)
    p = torch.sigmoid(signed)
    return ((1 - p) ** gamma * -F.logsigmoid(signed)).mean()  # at fault


def main():
    torch.manual_seed(33)
    x = torch.randn(120, 6)
    x[11 * 8 + 2] = 30.0
    y = (x.sum(1) > 0).float()
    model = nn.Linear(6, 1)
    nn.init.constant_(model.weight, 0.5)
    optimizer = torch.optim.Adamax(model.parameters(), lr=2e-3)
    loader = DataLoader(TensorDataset(x, y), batch_size=8)
    for step, (features, target) in enumerate(loader):
        loss = focal_loss(model(features).squeeze(1), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(step, loss.item())


if __name__ == "__main__":
    main()
