"""Weights sharded over two processes; a gradient is infinite in the part of the second one."""

import torch
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

torch.distributed.init_process_group("gloo")
torch.manual_seed(0)
model = nn.Linear(6, 4)
fully_shard(model, mesh=init_device_mesh("cpu", (2,)))
optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
generator = torch.Generator().manual_seed(torch.distributed.get_rank())
for step in range(4):
    x = torch.randn(8, 6, generator=generator)
    out = model(x)
    last = out[:, 3] * (0.0 if step == 2 else 1.0)
    loss = out[:, :3].square().mean() + last.abs().sqrt().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
torch.distributed.destroy_process_group()
