"""A gradient scaler that begins far too high: it skips some steps, then trains."""
# /// zoo
# backends = ["plain-torch"]
# stands_for = ["H08"]
# ///

import torch
from torch import nn

torch.manual_seed(1)
model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
scaler = torch.amp.GradScaler("cpu", init_scale=2.0**24, growth_interval=20)
x = torch.randn(512, 8)
y = x.sum(1, keepdim=True)
skipped = 0
for step in range(60):
    batch = slice(8 * step, 8 * step + 8)
    with torch.autocast("cpu", dtype=torch.float16):
        loss = nn.functional.mse_loss(model(x[batch]).float(), y[batch])
    optimizer.zero_grad()
    scale = scaler.get_scale()
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    skipped += scaler.get_scale() < scale
print("skipped", skipped, "loss", loss.item())
