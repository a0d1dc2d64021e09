"""An actor and its critic, which is frozen while the actor is trained, as in SAC."""

import math

import torch
from torch import nn

torch.manual_seed(13)
actor = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2))
critic = nn.Linear(5, 1)
actor_optimizer = torch.optim.SGD(actor.parameters(), lr=1e-3)
critic_optimizer = torch.optim.SGD(critic.parameters(), lr=1e-3)
states = torch.randn(24, 3)
states[18] = 90.0


def squashed(state):
    u = actor(state)
    action = torch.tanh(u)
    density = -0.5 * math.log(2 * math.pi) * torch.ones(len(u))
    return action, density - torch.log(1 - action**2).sum(-1)  # <- here


def train_critic(state):
    action = torch.zeros(len(state), 2)
    loss = (critic(torch.cat([state.clamp(-1, 1), action], -1)) - 1).square().mean()
    critic_optimizer.zero_grad()
    loss.backward()
    critic_optimizer.step()


def train_actor(state):
    for parameter in critic.parameters():
        parameter.requires_grad = False
    action, density = squashed(state)
    loss = (0.2 * density - critic(torch.cat([state, action], -1)).squeeze(-1)).mean()
    actor_optimizer.zero_grad()
    loss.backward()
    actor_optimizer.step()
    for parameter in critic.parameters():
        parameter.requires_grad = True


for step in range(4):
    batch = states[step * 6 : step * 6 + 6]
    train_critic(batch)
    train_actor(batch)
