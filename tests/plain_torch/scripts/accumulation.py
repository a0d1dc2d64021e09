import torch
import torch.nn as nn
from torch.utils.data import DataLoader

torch.manual_seed(0)


def normed(h):
    return h / h.norm(dim=-1, keepdim=True)  # <- here


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.enc = nn.Linear(4, 6, bias=False)
        self.drop = nn.Dropout(0.1)

    def forward(self, batch):
        return normed(self.drop(self.enc(batch["x"])))


x = torch.randn(64, 4)
x[37] = 0
t = torch.randn(64, 6)
data = [{"x": a, "target": b} for a, b in zip(x, t)]
model = Net()
opt = torch.optim.AdamW(model.parameters(), lr=1e-2)
acc = 3
opt.zero_grad()
for i, batch in enumerate(DataLoader(data, batch_size=5, shuffle=False)):
    loss = ((model(batch) - batch["target"]) ** 2).sum() / acc
    loss.backward()
    if (i + 1) % acc == 0:
        opt.step()
        opt.zero_grad()
