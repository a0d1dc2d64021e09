import torch

torch.manual_seed(0)
x = torch.randn(32)
x[19] = -95.0
scale = torch.nn.Parameter(torch.ones(()))
optimizer = torch.optim.SGD([scale], lr=1e-4)
for first in range(0, 32, 8):
    shape = torch.exp(scale * x[first : first + 8])
    loss = ((shape - 2.0) * torch.digamma(shape) - torch.lgamma(shape)).mean()  # <- here
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
