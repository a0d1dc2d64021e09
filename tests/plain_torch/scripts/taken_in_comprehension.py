"""An exponential overflows; its operand comes from calls in a comprehension, of one line."""

import torch

torch.manual_seed(0)
data = torch.randn(24, 8)
data[9] *= 300
columns = torch.tensor([0, 2, 5])
net = torch.nn.Linear(8, 8)
optimizer = torch.optim.SGD(net.parameters(), 1e-3)
for start in range(0, 24, 4):
    out = net(data[start : start + 4])
    scores = torch.stack([torch.take(row, columns) for row in out])
    loss = torch.log(torch.exp(scores).sum(1)).mean()  # <- here
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
