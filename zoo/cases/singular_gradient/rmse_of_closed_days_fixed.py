"""The same training; the root of an error of 0 is 0, without a gradient."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(26)
visitors = torch.rand(12 * 7, 3)
visitors[6 * 7 : 7 * 7] = 0.0
sales = visitors @ torch.tensor([2.0, 1.0, 0.5])

model = nn.Sequential(nn.Linear(3, 8, bias=False), nn.ReLU(), nn.Linear(8, 1, bias=False))
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)


class RMSELoss(nn.Module):
    def forward(self, predicted, target):
        error = F.mse_loss(predicted, target)
        return torch.where(error > 0, torch.sqrt(torch.where(error > 0, error, 1.0)), 0.0)


criterion = RMSELoss()
for epoch in range(2):
    for week in range(12):
        days = slice(7 * week, 7 * week + 7)

        def closure():
            optimizer.zero_grad()
            loss = criterion(model(visitors[days]).squeeze(1), sales[days])
            loss.backward()
            return loss

        error = optimizer.step(closure)
    print(f"epoch {epoch}: {error.item():.4f}")
