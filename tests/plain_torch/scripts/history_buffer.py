import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.map = nn.Linear(4, 1)
        self.register_buffer("history", torch.full((20,), float("nan")))
        self.register_buffer("position", torch.zeros((), dtype=torch.long))

    def forward(self, x):
        out = self.map(x)
        with torch.no_grad():
            self.history[self.position] = out.mean()
            self.position += 1
        return out


x, y = torch.randn(64, 4), torch.randn(64, 1)
x[21] = 0.0
model = Model()
optimizer = torch.optim.SGD(model.parameters(), lr=1e-2)
for inputs, targets in DataLoader(TensorDataset(x, y), batch_size=8):
    length = inputs.norm(dim=1, keepdim=True)
    loss = (model(inputs) * length / length - targets).square().mean()  # <- here
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
