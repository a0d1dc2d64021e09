"""The probability of the action is 0 where the policy is sure of another one."""

import torch
from torch import nn

torch.manual_seed(0)
X = torch.randn(64, 3)
Y = torch.randint(0, 4, (64,))
X[35] *= 400
X[36] = X[35]
Y[35], Y[36] = 0, 1


class Policy(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(3, 4))
        self.softmax = nn.Softmax(dim=-1)

    def forward(self, x):
        return self.softmax(self.body(x))


policy = Policy()
optimizer = torch.optim.SGD(policy.parameters(), 1e-3)
for i in range(8):
    x, y = X[8 * i : 8 * i + 8], Y[8 * i : 8 * i + 8]
    optimizer.zero_grad()
    p = policy(x)
    chosen = p[torch.arange(len(x)), y]
    loss = -(x[:, 1] * chosen.log()).mean()  # <- here
    loss.backward()
    optimizer.step()
