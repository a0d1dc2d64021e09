"""LBFGS: the first evaluation of the closure is finite, and a later one overflows."""

import torch

t = torch.linspace(0, 60, 60)
observed = 0.01 * torch.exp(0.1 * t)
size = torch.nn.Parameter(torch.tensor(1.0))
rate = torch.nn.Parameter(torch.tensor(0.0))
optimizer = torch.optim.LBFGS([size, rate], lr=1.0, max_iter=8)


def closure():
    optimizer.zero_grad()
    growth = torch.exp(rate * t)
    loss = ((size * growth - observed) ** 2).mean()  # <- here
    loss.backward()
    return loss


for _ in range(5):
    optimizer.step(closure)
