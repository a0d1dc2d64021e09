import torch
import torch.nn as nn

torch.manual_seed(0)
model = nn.Linear(4, 1)
optimizers = {p: torch.optim.SGD([p], lr=0.1) for p in model.parameters()}


def apply(parameter):
    optimizers[parameter].step()
    optimizers[parameter].zero_grad()


for parameter in model.parameters():
    parameter.register_post_accumulate_grad_hook(apply)
for step in range(4):
    x = torch.randn(8, 4)
    model(x).square().mean().backward()
print("loss", model(x).square().mean().item())
