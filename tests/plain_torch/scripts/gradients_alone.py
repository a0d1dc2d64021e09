"""A step that asks for gradients alone: no loss is known of it."""

import torch
from torch.func import functional_call, grad

torch.manual_seed(0)
model = torch.nn.Linear(3, 5)
optimizer = torch.optim.SGD(model.parameters(), lr=1e-6)
inputs = torch.randn(4, 4, 3)
inputs[2, 1] *= 1000.0


def objective(params, x):
    return torch.log(torch.exp(functional_call(model, params, (x,))).sum(-1)).mean()  # <- here


for x in inputs:
    params = dict(model.named_parameters())
    for name, gradient in grad(objective)(params, x).items():
        params[name].grad = gradient
    optimizer.step()
