"""A function that is called in two processes; a row of the second one has a length of 0."""

import sys

import torch
from torch import nn


def train(rank, port):
    torch.distributed.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    torch.manual_seed(0)
    model = nn.parallel.DistributedDataParallel(nn.Linear(4, 3, bias=False))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    generator = torch.Generator().manual_seed(rank)
    for step in range(4):
        x = torch.randn(6, 4, generator=generator)
        if step == 2 and rank == 1:
            x[1] = 0.0
        out = model(x)
        loss = (out / out.square().sum(1, keepdim=True).sqrt())[:, 0].mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    torch.multiprocessing.spawn(train, args=(sys.argv[1],), nprocs=2)
