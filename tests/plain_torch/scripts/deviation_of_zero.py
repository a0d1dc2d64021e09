import torch

torch.manual_seed(0)
x, y = torch.randn(32, 4), torch.randn(32)
weight = torch.nn.Parameter(torch.zeros(4))
optimizer = torch.optim.SGD([weight], lr=1e-2)
for number, deviation in enumerate([1.0, 0.5, 0.0, 1.0]):
    rows = slice(8 * number, 8 * number + 8)
    sigma = torch.full((8,), deviation)
    loss = (((x[rows] @ weight - y[rows]) / sigma) ** 2).mean()  # <- here
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
