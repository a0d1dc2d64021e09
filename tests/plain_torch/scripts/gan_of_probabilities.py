"""The generator reads the probability of the discriminator, too: it cannot give logits."""

import torch
from torch import nn

torch.manual_seed(7)
real = torch.randn(48, 8) + 2.0
real[43] = -900.0
G = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 8))
D = nn.Sequential(nn.Linear(8, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1), nn.Sigmoid())
with torch.no_grad():
    D[0].weight.abs_()
    D[2].weight.abs_()
opt_g = torch.optim.Adam(G.parameters(), lr=1e-3)
opt_d = torch.optim.Adam(D.parameters(), lr=1e-3)
for it in range(3):
    batch = real[it * 16 : it * 16 + 16]
    fake = G(torch.randn(16, 4))
    opt_d.zero_grad()
    score_real = D(batch)
    score_fake = D(fake.detach())
    loss_d = -(torch.log(score_real) + torch.log(1 - score_fake)).mean()  # <- here
    loss_d.backward()
    opt_d.step()
    opt_g.zero_grad()
    loss_g = -torch.log(D(fake)).mean()
    loss_g.backward()
    opt_g.step()
