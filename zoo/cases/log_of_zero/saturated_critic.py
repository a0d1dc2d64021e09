"""A GAN of two networks and two optimizers; the critic ends in a sigmoid.

It has learned to tell one batch of fakes from the real so well that its sigmoid is 1 in float32,
and the logarithm of 1 - 1 is -inf.
"""
# /// zoo
# cause = "log-of-zero"
# step = 10
# fix = "source"
# value = "exact"
# backends = ["plain-torch"]
# stands_for = ["D02", "plain-torch 1.2"]
# ///

import torch
import torch.nn as nn
import torch.optim as optim
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(999)
nz = 6

netG = nn.Sequential(nn.Linear(nz, 16), nn.ReLU(True), nn.Linear(16, 4))
netD = nn.Sequential(nn.Linear(4, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))
nn.init.constant_(netD[2].weight, 0.2)
nn.init.constant_(netD[0].weight, 0.2)

optimizerD = optim.Adam(netD.parameters(), lr=2e-4, betas=(0.5, 0.999))
optimizerG = optim.Adam(netG.parameters(), lr=2e-4, betas=(0.5, 0.999))

real = torch.randn(80, 4)
real[42] = 40.0  # a real one beyond all others
dataloader = DataLoader(TensorDataset(real), batch_size=8)


def critic_loss(on_real, on_fake):
    p_real, p_fake = torch.sigmoid(on_real), torch.sigmoid(on_fake)
    smooth = 0.9 * torch.log(p_real) + 0.1 * torch.log(1 - p_real)  # at fault
    return -(smooth + torch.log(1 - p_fake)).mean()


for epoch in range(1):
    for i, data in enumerate(dataloader, 0):
        netD.zero_grad()
        noise = torch.randn(len(data[0]), nz)
        fake = netG(noise)
        errD = critic_loss(netD(data[0]), netD(fake.detach()))
        errD.backward()
        optimizerD.step()

        netG.zero_grad()
        errG = -nn.functional.logsigmoid(netD(fake)).mean()
        errG.backward()
        optimizerG.step()
        print(f"[{epoch}][{i}/{len(dataloader)}] D {errD.item():.4f} G {errG.item():.4f}")
