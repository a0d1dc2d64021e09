"""The same training with `logsigmoid`."""

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
    log_sigmoid = nn.functional.logsigmoid
    smooth = 0.9 * log_sigmoid(on_real) + 0.1 * log_sigmoid(-on_real)
    return -(smooth + log_sigmoid(-on_fake)).mean()


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
