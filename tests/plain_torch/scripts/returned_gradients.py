import torch
from torch.func import functional_call, grad

torch.manual_seed(0)
model = torch.nn.Linear(3, 5)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)


def objective(params, x, closed):
    values = functional_call(model, params, (x,))
    weights = torch.softmax(values.masked_fill(closed, -torch.inf), dim=-1)  # <- here
    return (weights * values).sum(dim=-1).square().mean()


for step in range(5):
    x, closed = torch.randn(4, 3), torch.rand(4, 5) < 0.3
    closed[:, 0] = False
    if step == 3:
        closed[2] = True
    params = dict(model.named_parameters())
    for name, gradient in grad(objective)(params, x, closed).items():
        params[name].grad = gradient
    optimizer.step()
