import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)
G = nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 2))
D = nn.Sequential(nn.Linear(2, 16), nn.LeakyReLU(), nn.Linear(16, 1))
with torch.no_grad():
    D[2].bias -= 17
og = torch.optim.Adam(G.parameters(), 1e-2)
od = torch.optim.Adam(D.parameters(), 5e-2)
real_data = torch.randn(64, 2) * 0.1 + 40
step = 0
while step < 400:
    idx = torch.randint(0, 64, (16,))
    real = real_data[idx]
    z = torch.randn(16, 4)
    fake = G(z)
    od.zero_grad()
    ld = (F.softplus(-D(real)) + F.softplus(D(fake.detach()))).mean()
    ld.backward()
    od.step()
    og.zero_grad()
    lg = torch.log(1 - torch.sigmoid(-D(fake))).mean()  # <- here
    (-lg).backward()
    og.step()
    step += 1
