import torch
from torch import nn

torch.manual_seed(0)
x = torch.rand(64, 4)
x[21] = 0.0
x[43] = 0.0
net = nn.Linear(4, 8, bias=False)
optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
history = []
total = torch.zeros(2)
for step in range(16):
    batch = x[step % 8 * 8 : step % 8 * 8 + 8]
    h = net(batch)
    norm = torch.sqrt((h * h).sum(dim=1))
    loss = (norm - 1).square().mean()
    total[0] += loss.detach()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    history.append(loss.item())
print("end", [loss.hex() for loss in history])
print("end", net.weight.detach().numpy().tobytes().hex())
print("end", total.tolist())
