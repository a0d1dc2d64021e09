"""A GAN with clipped gradients, spectral norms and a loss that jumps; all of it is finite."""
# /// zoo
# backends = ["plain-torch"]
# stands_for = ["plain-torch 2.2"]
# ///

import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

torch.manual_seed(3)
G = nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 2))
D = nn.Sequential(spectral_norm(nn.Linear(2, 16)), nn.LeakyReLU(0.2), nn.Linear(16, 1))
opt_g = torch.optim.Adam(G.parameters(), lr=2e-3, betas=(0.0, 0.9))
opt_d = torch.optim.Adam(D.parameters(), lr=2e-3, betas=(0.0, 0.9))
bce = nn.BCEWithLogitsLoss()
for it in range(80):
    angle = torch.rand(32) * 6.283
    real = torch.stack([angle.cos(), angle.sin()], 1) * (1e4 if it == 40 else 1.0)
    fake = G(torch.randn(32, 4))
    d_loss = bce(D(real), torch.ones(32, 1)) + bce(D(fake.detach()), torch.zeros(32, 1))
    opt_d.zero_grad()
    d_loss.backward()
    nn.utils.clip_grad_norm_(D.parameters(), 1.0)
    opt_d.step()
    g_loss = bce(D(fake), torch.ones(32, 1))
    opt_g.zero_grad()
    g_loss.backward()
    nn.utils.clip_grad_norm_(G.parameters(), 1.0)
    opt_g.step()
print(d_loss.item(), g_loss.item())
