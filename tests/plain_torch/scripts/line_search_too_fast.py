"""LBFGS with a learning rate of 50: its first step throws the weights out of range."""

import torch

torch.manual_seed(0)
x = torch.randn(32, 4)
y = x[:, :1] * 2
net = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 1))
optimizer = torch.optim.LBFGS(net.parameters(), lr=50.0)
for step in range(4):
    inputs, targets = x[8 * step : 8 * step + 8], y[8 * step : 8 * step + 8]

    def closure():
        optimizer.zero_grad()
        loss = torch.exp((net(inputs) - targets) ** 2).mean()  # <- here
        loss.backward()
        return loss

    optimizer.step(closure)
