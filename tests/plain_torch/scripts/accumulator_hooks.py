"""Hooks on the nodes that accumulate gradients, as data parallel registers them."""

import sys

import torch
from torch import nn

torch.manual_seed(0)
data = torch.rand(40, 4) + 0.1
data[19] = 0
model = nn.Linear(4, 4)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
nodes = [p.expand_as(p).grad_fn.next_functions[0][0] for p in model.parameters()]
calls = []
for node in nodes:
    node.register_hook(lambda *_: calls.append(1))
for x in data.split(8):
    loss = (model(x) / x.norm(dim=1, keepdim=True)).square().mean()  # <- here
    optimizer.zero_grad()
    calls.clear()
    loss.backward()
    print("end", len(calls), file=sys.stderr)
    optimizer.step()
