"""The same training; the power is the exponential of a `logsigmoid`."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def focal_loss(logits, target, gamma=0.5):
    signed = torch.where(target > 0, logits, -logits)
    weight = torch.exp(gamma * F.logsigmoid(-signed))
    return (weight * -F.logsigmoid(signed)).mean()


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
