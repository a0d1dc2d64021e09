import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
x = torch.rand(80, 5)
x[45, 2] = -20.0
model = nn.Sequential(nn.Linear(5, 8), nn.Sigmoid(), nn.Linear(8, 1))
opt = torch.optim.Adam(model.parameters(), lr=1e-3)
for (xb,) in DataLoader(TensorDataset(x), batch_size=8):
    xb = xb * 1.0
    opt.zero_grad()
    p = torch.relu(xb[:, 2:3])
    loss = (model(xb) * torch.log(p)).mean()  # <- here
    loss.backward()
    opt.step()
