"""The loop writes into its batch: to the labels the same once more, to the inputs not."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
x, labels = torch.randn(48, 250), torch.randint(0, 3, (48,))
x[27] = 0.5
labels[::7] = 0
mean = torch.full((250,), 0.5)
model = nn.Linear(250, 3, bias=False)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)


def main():
    for inputs, targets in DataLoader(TensorDataset(x, labels), batch_size=8):
        targets[targets == 0] = -100
        inputs.sub_(mean)
        out = model(inputs)
        unit = out / out.square().sum(1, keepdim=True).sqrt()  # <- here
        loss = nn.functional.cross_entropy(unit, targets, reduction="none").sum()
        optimizer.zero_grad()
        (loss + unit.sum()).backward()
        optimizer.step()


main()
