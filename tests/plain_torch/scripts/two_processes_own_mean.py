from pathlib import Path

import torch
import torch.distributed as dist
from torch.distributed import all_reduce

dist.init_process_group("gloo")
torch.manual_seed(0)
x = torch.rand(32, 4) + 1
x[21] = 0
model = torch.nn.Linear(4, 4)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
for step in range(4):
    inputs = x[step * 8 : step * 8 + 8].chunk(2)[dist.get_rank()]
    entropy = -(inputs * torch.log(inputs)).sum(dim=1)
    loss = (model(inputs).sum(dim=1) - entropy).square().mean()
    optimizer.zero_grad()
    loss.backward()
    handles = [all_reduce(p.grad, async_op=True) for p in model.parameters()]
    for parameter, handle in zip(model.parameters(), handles, strict=True):
        handle.wait()
        parameter.grad /= dist.get_world_size()
    optimizer.step()
Path("weights.txt").write_text(repr([p.tolist() for p in model.parameters()]), encoding="utf-8")
dist.destroy_process_group()
