import torch
from torch import nn

torch.manual_seed(0)
x = torch.rand(64, 4)
net = nn.Linear(4, 8, bias=False)
optimizer = torch.optim.SGD(net.parameters(), lr=1e-3, momentum=0.9)
losses = []
for step in range(160):
    if step == 120:
        optimizer.param_groups[0]["lr"] = 0.3
    h = net(x[step % 8 * 8 : step % 8 * 8 + 8])
    loss = ((h * h * h * h).sum(dim=1) - 1).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
momentum = optimizer.state[net.weight]["momentum_buffer"]
print("end", *[value.sum().item().hex() for value in (net.weight.detach(), momentum)])
print("rate", optimizer.param_groups[0]["lr"])
print("loss", sum(losses[-8:]) < sum(losses[:8]))
