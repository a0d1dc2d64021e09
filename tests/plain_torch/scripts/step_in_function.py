import torch
import torch.nn as nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 3))
opt = torch.optim.Adam(model.parameters())


def train_step(a, b):
    opt.zero_grad()
    d = torch.sqrt(((model(a) - model(b)) ** 2).sum(-1))  # <- here
    loss = d.mean()
    loss.backward()
    opt.step()
    return loss.item()


pairs = [(torch.randn(6, 3), torch.randn(6, 3)) for _ in range(6)]
pairs[3][1][2] = pairs[3][0][2]
losses = []
for a, b in pairs:
    losses.append(train_step(a, b))
