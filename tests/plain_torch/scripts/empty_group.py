"""The largest feature of the nodes of each graph; one graph has no node."""

import torch
from torch import nn

torch.manual_seed(0)
nodes, head = nn.Linear(3, 4), nn.Linear(4, 1)
optimizer = torch.optim.SGD([*nodes.parameters(), *head.parameters()], lr=0.1)
graphs = torch.tensor([[0, 0, 1, 1, 2, 2], [0, 1, 1, 1, 2, 2], [0, 0, 0, 2, 2, 2]])

for step in range(3):
    hidden = nodes(torch.randn(6, 3))
    graph = graphs[step][:, None].expand_as(hidden)
    pooled = torch.full((3, 4), float("-inf"))
    pooled = pooled.scatter_reduce(0, graph, hidden, "amax")  # <- here
    loss = head(pooled).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
