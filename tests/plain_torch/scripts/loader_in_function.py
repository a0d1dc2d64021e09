import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(1)
x = torch.randn(96, 6)
x[41] = 0
y = torch.randn(96, 4)


class Embed(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(6, 8, bias=False), nn.ReLU(), nn.Linear(8, 4, bias=False)
        )

    def forward(self, x):
        z = self.net(x)
        return z / torch.sqrt((z * z).sum(dim=1, keepdim=True))  # <- here


def train(model, loader, epochs):
    opt = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    total = 0.0
    for epoch in range(epochs):
        for i, (inputs, labels) in enumerate(loader):
            opt.zero_grad()
            out = model(inputs)
            loss = ((out - labels) ** 2).mean()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            opt.step()
            total += loss.item()
    return total


if __name__ == "__main__":
    loader = DataLoader(TensorDataset(x, y), batch_size=8, shuffle=True)
    print(train(Embed(), loader, 3))
