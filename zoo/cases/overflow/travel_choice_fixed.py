"""The same training with `logsumexp`."""

import torch
from torch import nn


class Choice(nn.Module):
    """Utility is linear in time, cost and comfort."""

    def __init__(self):
        super().__init__()
        self.taste = nn.Parameter(torch.tensor([-0.2, -0.1, 0.3]))
        self.constant = nn.Parameter(torch.zeros(4))

    def forward(self, attributes):
        return attributes @ self.taste + self.constant


def negative_log_likelihood(utility, chosen):
    log_partition = torch.logsumexp(utility, dim=1)
    picked = utility.gather(1, chosen[:, None]).squeeze(1)
    return (log_partition - picked).mean()


def batches(attributes, chosen, size):
    for start in range(0, len(chosen), size):
        yield attributes[start : start + size], chosen[start : start + size]


torch.manual_seed(10)
attributes = torch.rand(120, 4, 3) * 3
attributes[6 * 10 + 7, 2, 2] = 380.0
chosen = torch.randint(4, (120,))
model = Choice()
optimizer = torch.optim.SGD(model.parameters(), lr=0.001)
for epoch in range(2):
    for x, y in batches(attributes, chosen, 10):

        def closure():
            optimizer.zero_grad()
            loss = negative_log_likelihood(model(x), y)
            loss.backward()
            return loss

        loss = optimizer.step(closure)
    print(epoch, loss.item())
