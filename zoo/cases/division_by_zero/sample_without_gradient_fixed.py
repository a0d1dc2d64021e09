"""The same training; a gradient of 0 stays 0."""

import torch
from torch import nn
from torch.func import functional_call, grad, vmap

torch.manual_seed(6)
model = nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)


def hinge(parameters, x, y):
    score = functional_call(model, parameters, (x.unsqueeze(0),)).squeeze()
    return torch.relu(1 - y * score)


gradients_of_samples = vmap(grad(hinge), in_dims=(None, 0, 0))
for step in range(12):
    x = torch.randn(8, 5)
    y = torch.sign(x[:, 0])
    parameters = {name: p.detach() for name, p in model.named_parameters()}
    if step == 7:  # far from the boundary, on the right side of it
        with torch.no_grad():
            x[3] *= 300
            y[3] = torch.sign(model(x[3:4]).squeeze())
    gradients = gradients_of_samples(parameters, x, y)
    lengths = torch.sqrt(sum(g.flatten(1).square().sum(1) for g in gradients.values()))
    factor = torch.where(lengths > 0, 1.0 / lengths.clamp(min=1e-12), 0.0)
    for name, p in model.named_parameters():
        g = gradients[name]
        mean = (g * factor.view(-1, *[1] * (g.dim() - 1))).mean(0)
        p.grad = mean + 0.01 * torch.randn_like(p)
    optimizer.step()
    optimizer.zero_grad()
    print(step, lengths.min().item())
