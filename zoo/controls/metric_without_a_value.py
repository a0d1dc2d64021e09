"""Precision is 0 / 0 while nothing is predicted; it is printed as NaN and nothing else."""
# /// zoo
# backends = ["plain-torch"]
# stands_for = ["L11"]
# ///

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


@torch.no_grad()
def evaluate(model, x, y):
    model.eval()
    predicted = model(x).squeeze(1) > 3.0
    precision = (predicted & (y > 0)).sum() / predicted.sum()
    spread = model(x[:1]).std()
    model.train()
    return precision.item(), spread.item()


torch.manual_seed(5)
x = torch.randn(128, 6)
y = (x[:, 0] > 0).float()
model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=1)
for epoch in range(3):
    for inputs, labels in DataLoader(TensorDataset(x, y), batch_size=16, shuffle=True):
        loss = nn.functional.binary_cross_entropy_with_logits(model(inputs).squeeze(1), labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    plateau.step(loss.item())
    print(epoch, loss.item(), evaluate(model, x, y))
