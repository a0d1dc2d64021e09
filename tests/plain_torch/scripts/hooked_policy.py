"""A hook reads the probabilities, too: that they may become logits is not known."""

import torch
from torch import nn

torch.manual_seed(0)
X = torch.randn(64, 3)
Y = torch.randint(0, 4, (64,))
X[35] *= 400
X[36] = X[35]
Y[35], Y[36] = 0, 1
hits = []


class Policy(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(3, 4)

    def forward(self, x):
        return torch.softmax(self.body(x), dim=-1)


def note(module, args, output):
    hits.append(int((output > 0.5).sum()))


policy = Policy()
policy.register_forward_hook(note)
optimizer = torch.optim.SGD(policy.parameters(), 1e-3)
for i in range(8):
    x, y = X[8 * i : 8 * i + 8], Y[8 * i : 8 * i + 8]
    optimizer.zero_grad()
    p = policy(x)
    chosen = p[torch.arange(len(x)), y]
    loss = -(x[:, 1] * chosen.log()).mean()  # <- here
    loss.backward()
    optimizer.step()
