import torch
import torch.nn as nn

torch.manual_seed(0)
X = torch.randn(64, 8)
y = (X[:, :1] > 0).float()
X[7, 3] = 0.0


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(8, 16)
        self.b = nn.Linear(16, 1)

    def forward(self, x):
        return torch.sigmoid(self.b(torch.tanh(self.a(x))) * 60)


model = Net()
optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
for epoch in range(200):
    optimizer.zero_grad()
    p = model(X)
    loss = -(y * torch.log(p) + (1 - y) * torch.log(1 - p)).mean()  # <- here
    loss.backward()
    optimizer.step()
    print(epoch, loss.item())
