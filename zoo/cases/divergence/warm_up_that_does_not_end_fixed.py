"""The same training; the learning rate stays after the warm-up."""

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

torch.manual_seed(0)
WARM_UP = 10
teacher = nn.Linear(8, 4)
student = nn.Sequential(
    nn.Linear(8, 16), nn.LeakyReLU(), nn.Linear(16, 16), nn.LeakyReLU(), nn.Linear(16, 4)
)
optimizer = torch.optim.SGD(student.parameters(), lr=0.02, momentum=0.9)
scheduler = LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / WARM_UP))

x = torch.randn(512, 8)
for step in range(400):
    batch = x[torch.randint(512, (16,))]
    with torch.no_grad():
        wanted = teacher(batch)
    loss = (student(batch) - wanted).pow(2).sum(1).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    scheduler.step()
print("loss", loss.item())
