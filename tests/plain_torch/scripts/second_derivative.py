import torch

torch.manual_seed(0)
net = torch.nn.Sequential(torch.nn.Linear(1, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
points = torch.cartesian_prod(torch.linspace(-1, 1, 5), torch.linspace(-1, 1, 5))
for xy in points.split(5):
    xy = xy.clone().requires_grad_()
    radius = torch.hypot(xy[:, 0], xy[:, 1])  # <- here
    slope = torch.autograd.grad(net(radius[:, None] ** 2).sum(), xy, create_graph=True)[0]
    bend = torch.autograd.grad(slope[:, 0].sum(), xy, create_graph=True)[0][:, 0]
    optimizer.zero_grad()
    (bend + 1).square().mean().backward()
    optimizer.step()
