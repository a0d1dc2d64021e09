import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.map = nn.Linear(4, 8)
        self.norm = nn.BatchNorm1d(8)  # <- here
        self.head = nn.Linear(8, 1)
        self.scale = 1.0

    def forward(self, x):
        self.scale *= 1e5
        return self.head(torch.relu(self.norm(self.scale * self.map(x))))


model = Model()
optimizer = torch.optim.SGD(model.parameters(), lr=1e-2)
for inputs, targets in DataLoader(TensorDataset(torch.randn(64, 4), torch.randn(64, 1)), 8):
    loss = (model(inputs) - targets).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
