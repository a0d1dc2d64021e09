"""The same training; a hyperbolic tangent bounds the state."""

import torch
from torch import nn


class Reservoir(nn.Module):
    def __init__(self, width=12):
        super().__init__()
        mixed, _ = torch.linalg.qr(torch.randn(width, width))
        self.register_buffer("recurrent", 1.6 * mixed)
        self.inward = nn.Linear(1, width)
        self.read = nn.Linear(width, 1)

    def forward(self, window, state):
        for value in window.unbind(0):
            state = torch.tanh(state @ self.recurrent.T + self.inward(value.view(1, 1)))
        return self.read(state / (1 + state.norm())), state


class Wave:
    def __init__(self, length):
        self.signal = torch.sin(torch.arange(length) / 5.0)

    def windows(self, size):
        for start in range(0, len(self.signal) - size - 1, size):
            yield self.signal[start : start + size], self.signal[start + size]


torch.manual_seed(16)
model = Reservoir()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
state = torch.zeros(1, 12)
for step, (window, following) in enumerate(Wave(400).windows(8)):
    predicted, state = model(window, state)
    loss = (predicted.squeeze() - following) ** 2
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    state = state.detach()
    if step % 10 == 0:
        print(step, loss.item())
