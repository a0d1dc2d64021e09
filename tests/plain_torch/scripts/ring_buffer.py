import numpy as np
import torch


class Environment:
    """A state that each step changes, with random numbers of its own."""

    def __init__(self):
        self.noise = np.random.default_rng(3)
        self.state = np.zeros(3, np.float32)

    def step(self, action):
        self.state = 0.9 * self.state + action + self.noise.normal(size=3).astype(np.float32)
        return self.state


class RingBuffer:
    """Arrays that are written in turn."""

    def __init__(self, size):
        self.rows = np.zeros((size, 3), np.float32)
        self.position = 0

    def add(self, row):
        self.rows[self.position % len(self.rows)] = row
        self.position += 1

    def sample(self, num_rows):
        filled = min(self.position, len(self.rows))
        return torch.from_numpy(self.rows[np.random.permutation(filled)[:num_rows]])


torch.manual_seed(0)
np.random.seed(0)
environment, buffer = Environment(), RingBuffer(40)
actor = torch.nn.Linear(3, 1)
optimizer = torch.optim.Adam(actor.parameters(), lr=0.01)
for step in range(60):
    with torch.no_grad():
        action = float(torch.normal(actor(torch.from_numpy(environment.state)), 0.1))
    buffer.add(environment.step(action))
    if step >= 10:
        rows = buffer.sample(16)
        mean = actor(rows)
        drawn = torch.tanh((mean + torch.randn_like(mean)) * (40.0 if step == 20 else 0.5))
        log_prob = -torch.log(1 - drawn**2)  # <- here
        loss = log_prob.mean() + (drawn - 0.1).pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
