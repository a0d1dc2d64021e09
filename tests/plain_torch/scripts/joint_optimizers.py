import torch
from torch import nn

torch.manual_seed(0)
body = nn.Linear(4, 8, bias=False)
head = nn.Linear(1, 1)
for_head = torch.optim.Adam(head.parameters(), 1e-2)
for_body = torch.optim.Adam(body.parameters(), 1e-3)
x = torch.randn(24, 4)
x[14] = 0.0
for step in range(6):
    batch = x[4 * step : 4 * step + 4]
    length = body(batch).square().sum(-1, keepdim=True).sqrt()  # <- here
    loss = (head(length) - 1).square().mean()
    for_head.zero_grad()
    for_body.zero_grad()
    loss.backward()
    for_head.step()
    for_body.step()
