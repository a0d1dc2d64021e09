import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)
x = torch.randn(64, 4)
x[:, 2] = 0
y = torch.randn(64, 1)
model = nn.Linear(4, 1)
opt = torch.optim.Adam(model.parameters(), lr=1e-3, eps=0.0)  # <- here
for epoch in range(100):
    opt.zero_grad()
    loss = F.mse_loss(model(x), y)
    loss.backward()
    opt.step()
