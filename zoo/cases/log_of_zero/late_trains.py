"""A mixture density network for the time of arrival; densities are summed, then the logarithm.

A train that is two hours late lies so far from all components that each density is 0.
"""
# /// zoo
# cause = "log-of-zero"
# step = 10
# rows = [7]
# fix = "source"
# value = "exact"
# backends = ["plain-torch"]
# stands_for = ["D04", "plain-torch 1.2"]
# ///

import math

import torch
from torch import nn


class MDN(nn.Module):
    def __init__(self, num_features=5, components=3):
        super().__init__()
        self.hidden = nn.Linear(num_features, 20)
        self.pi = nn.Linear(20, components)
        self.mu = nn.Linear(20, components)
        self.log_sigma = nn.Linear(20, components)

    def forward(self, x):
        h = torch.tanh(self.hidden(x))
        return self.pi(h).softmax(1), self.mu(h), self.log_sigma(h).clamp(-2.0, 2.0)


def mdn_loss(pi, mu, log_sigma, y):
    z = (y.unsqueeze(1) - mu) / log_sigma.exp()
    density = torch.exp(-0.5 * z**2 - log_sigma) / math.sqrt(2 * math.pi)
    return -torch.log((pi * density).sum(1)).mean()  # at fault


class Timetable:
    """Batches in the order of the day."""

    def __init__(self, size):
        self.size = size
        self.x = torch.randn(160, 5)
        self.delay = self.x[:, 0] + 0.3 * torch.randn(160)
        self.delay[10 * size + 7] = 60.0

    def __iter__(self):
        yield from zip(self.x.split(self.size), self.delay.split(self.size))


torch.manual_seed(31)
net = MDN()
optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
trains = Timetable(8)
for epoch in range(2):
    history = []
    for features, delay in trains:
        optimizer.zero_grad(set_to_none=True)
        loss = mdn_loss(*net(features), delay)
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimizer.step()
        history.append(loss.detach())
    print(epoch, torch.stack(history).mean().item())
