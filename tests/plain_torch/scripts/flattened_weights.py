"""Weights of the older FSDP; a gradient is infinite in the part of the second process."""

import torch
from torch import nn
from torch.distributed.fsdp import FullyShardedDataParallel

torch.distributed.init_process_group("gloo")
torch.manual_seed(0)
model = FullyShardedDataParallel(
    nn.Linear(6, 4, bias=False), device_id=torch.device("cpu"), use_orig_params=True
)
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
