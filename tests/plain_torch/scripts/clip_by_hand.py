import torch
import torch.nn as nn

torch.manual_seed(5)
net = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 1))
optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
for step in range(6):
    x = torch.randn(8, 4)
    shift = -100.0 if step == 4 else 0.0
    loss = (net[2](torch.relu(net[0](x) + shift)) - 1).square().mean()
    optimizer.zero_grad()
    loss.backward()
    for p in net.parameters():
        length = p.grad.norm()
        p.grad.mul_(0.1 / length)  # <- here
    optimizer.step()
