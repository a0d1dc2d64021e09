import torch
from torch.func import functional_call, grad

torch.manual_seed(0)
model = torch.nn.Linear(3, 5)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)


def objective(params, x, closed):
    scores = functional_call(model, params, (x,)).masked_fill(closed, -torch.inf)
    weights = torch.softmax(scores, dim=-1)  # <- here
    return (weights @ torch.arange(5.0)).square().mean()


for step in range(5):
    x, closed = torch.randn(4, 3), torch.rand(4, 5) < 0.3
    closed[:, 0] = False
    if step == 3:
        closed[2] = True
    params = dict(model.named_parameters())
    for name, gradient in grad(objective)(params, x, closed).items():
        params[name].grad = gradient
    optimizer.step()
