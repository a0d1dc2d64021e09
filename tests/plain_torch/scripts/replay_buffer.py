import random
from collections import deque

import torch
import torch.nn as nn


class Memory:
    def __init__(self):
        self.items = deque(maxlen=100)

    def push(self, *item):
        self.items.append(item)

    def sample(self, number):
        return [torch.stack(part) for part in zip(*random.sample(self.items, number))]


random.seed(0)
torch.manual_seed(0)
net, memory = nn.Linear(3, 2), Memory()
optimizer = torch.optim.SGD(net.parameters(), lr=0.01)


def optimize():
    if len(memory.items) < 8:
        return
    state, reward = memory.sample(8)
    wrong = (net(state).max(1).values - torch.log(reward)).square()  # <- here
    optimizer.zero_grad()
    wrong.mean().backward()
    optimizer.step()


state = torch.zeros(3)
for t in range(24):
    if random.random() < 0.5:
        state = state + torch.randn(3)
    memory.push(state, torch.tensor(0.0 if t == 15 else 1.0))
    optimize()
