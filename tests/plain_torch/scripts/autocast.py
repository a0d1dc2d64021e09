import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
x = torch.randn(64, 8)
y = torch.randn(64, 1)
x[50] *= 1e4
model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1))
opt = torch.optim.Adam(model.parameters())
scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
for epoch in range(30):
    for xb, yb in DataLoader(TensorDataset(x, y), batch_size=16):
        opt.zero_grad()
        with torch.autocast("cpu", dtype=torch.float16):
            out = model(xb)
            loss = ((out - yb.half()) ** 2).mean()  # <- here
        scaler.scale(loss).backward()
        scaler.step(opt)
        scaler.update()
