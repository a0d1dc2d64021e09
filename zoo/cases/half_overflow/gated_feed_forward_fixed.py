"""The same training; the feed-forward is computed in float32."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset


class GatedFeedForward(nn.Module):
    def __init__(self, d_model, d_ff):
        super().__init__()
        self.wi_0 = nn.Linear(d_model, d_ff, bias=False)
        self.wi_1 = nn.Linear(d_model, d_ff, bias=False)
        self.wo = nn.Linear(d_ff, d_model, bias=False)

    def forward(self, hidden):
        with torch.autocast(device_type="cpu", enabled=False):
            gate = F.relu(self.wi_0(hidden.float()))
            return self.wo(gate * self.wi_1(hidden.float()))


class Block(nn.Module):
    def __init__(self, d_model=16):
        super().__init__()
        self.ff = GatedFeedForward(d_model, 32)
        self.norm = nn.LayerNorm(d_model)
        self.head = nn.Linear(d_model, 1)

    def forward(self, x):
        x = x + self.ff(x)
        return self.head(self.norm(x.float()).float()).squeeze(-1)


torch.manual_seed(6)
audio = torch.randn(160, 16) * 6.0
audio[10 * 8 + 5] *= 60.0
pitch = torch.tanh(audio[:, 0])
loader = DataLoader(TensorDataset(audio, pitch), batch_size=8)
model = Block()
optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)

for epoch in range(2):
    for step, (x, y) in enumerate(loader):
        with torch.autocast(device_type="cpu", dtype=torch.float16):
            predicted = model(x)
        loss = F.mse_loss(predicted.float(), y)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    print(epoch, loss.item())
