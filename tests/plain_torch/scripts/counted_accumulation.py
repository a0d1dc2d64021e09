"""Gradients of two slices are accumulated; a local counter and one of a library tell when."""

import argparse

import torch
from torch import nn

torch.manual_seed(0)
data = torch.randn(48, 4)
data[38] = 0.0


def main():
    model = nn.Linear(4, 3, bias=False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    seen = argparse.Namespace(slices=0)
    slices = 0
    for start in range(0, 48, 4):
        rows = data[start : start + 4]
        is_last = (slices + 1) % 2 == 0
        seen.slices += 1
        out = model(rows)
        unit = out / out.square().sum(1, keepdim=True).sqrt()  # <- here
        (unit[:, 0].mean() / 2).backward()
        slices = slices + 1
        if is_last and seen.slices % 2 == 0:
            optimizer.step()
            optimizer.zero_grad()


main()
