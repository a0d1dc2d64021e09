from pathlib import Path

import torch
import torch.distributed as dist
import torch.nn as nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

dist.init_process_group("gloo")
torch.manual_seed(0)
x = torch.rand(32, 4) + 1
x[21] = 0
net = nn.Linear(4, 4)
optimizer = torch.optim.SGD(net.parameters(), lr=0.01)  # before the wrapper, as in trainers
model = DistributedDataParallel(net)
data = TensorDataset(x)
loader = DataLoader(data, 4, sampler=DistributedSampler(data, shuffle=False))
for (inputs,) in loader:
    entropy = -(inputs * torch.log(inputs)).sum(dim=1)  # <- here
    loss = (model(inputs).sum(dim=1) - entropy).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    total = loss.detach().clone()
    dist.all_reduce(total)
Path("weights.txt").write_text(repr([p.tolist() for p in net.parameters()]), encoding="utf-8")
dist.destroy_process_group()
