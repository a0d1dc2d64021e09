"""WGAN with a gradient penalty; the critic has ReLU units.

Around one picture all units are off, the gradient of the critic is 0, and its norm has no
derivative.
"""
# /// zoo
# cause = "singular-gradient"
# step = 8
# rows = [5]
# fix = "source"
# value = "exact"
# backends = ["plain-torch"]
# stands_for = ["A13"]
# ///

import torch
from torch import autograd, nn
from torch.utils.data import DataLoader, TensorDataset


class Critic(nn.Module):
    def __init__(self):
        super().__init__()
        self.one = nn.Linear(3, 12)
        self.two = nn.Linear(12, 1)
        nn.init.uniform_(self.one.weight, 0.1, 0.6)

    def forward(self, x):
        return self.two(torch.relu(self.one(x)))


def gradient_penalty(critic, real, fake, weight=10.0):
    mix = torch.rand(len(real), 1)
    between = (mix * real + (1 - mix) * fake).requires_grad_(True)
    score = critic(between)
    (grads,) = autograd.grad(score, between, torch.ones_like(score), create_graph=True)
    norm = grads.pow(2).sum(dim=1).sqrt()  # at fault
    return weight * (norm - 1).pow(2).mean()


torch.manual_seed(23)
critic = Critic()
generator = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 3))
opt_c = torch.optim.Adam(critic.parameters(), lr=1e-4, betas=(0.0, 0.9))
opt_g = torch.optim.Adam(generator.parameters(), lr=1e-4, betas=(0.0, 0.9))
pictures = torch.rand(64, 3) + 1.0
pictures[4 * 8 + 5] = -200.0
for (real,) in DataLoader(TensorDataset(pictures), batch_size=8):
    fake = generator(torch.randn(len(real), 2)).detach()
    loss_c = critic(fake).mean() - critic(real).mean() + gradient_penalty(critic, real, fake)
    opt_c.zero_grad()
    loss_c.backward()
    opt_c.step()

    loss_g = -critic(generator(torch.randn(len(real), 2))).mean()
    opt_g.zero_grad()
    loss_g.backward()
    opt_g.step()
    print(f"{loss_c.item():.4f} {loss_g.item():.4f}")
