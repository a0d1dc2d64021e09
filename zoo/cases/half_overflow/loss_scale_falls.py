"""Mixed precision with a gradient scaler: the energy of a signal is a sum of squares in float16.

From the second day on the amplifier is set higher, and the sum has no room in float16 in any step.
The loss itself is NaN, so no scale can help; the scaler halves it step after step.
"""
# /// zoo
# cause = "half-overflow"
# step = 12
# fix = "source"
# value = "exact"
# backends = ["plain-torch"]
# stands_for = ["H07", "pytorch#40497", "apex#777"]
# ///

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

torch.manual_seed(3)


class Recordings(Dataset):
    def __init__(self, days=5, per_day=96):
        self.signal = torch.randn(days * per_day, 32)
        self.signal[per_day:] *= 120.0
        self.label = (self.signal[:, 0] > 0).float()

    def __len__(self):
        return len(self.signal)

    def __getitem__(self, i):
        return self.signal[i], self.label[i]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(1, 4, 5, padding=2)
        self.head = nn.Linear(4, 1)

    def forward(self, signal):
        h = self.conv(signal.unsqueeze(1))
        energy = (h * h).sum(-1)  # at fault
        return self.head(torch.log1p(energy.float())).squeeze(-1)


net = Net()
optimizer = torch.optim.SGD(net.parameters(), lr=1e-2)
scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
criterion = nn.BCEWithLogitsLoss()

for epoch in range(1):
    for signal, label in DataLoader(Recordings(), batch_size=8):
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.float16):
            loss = criterion(net(signal).float(), label)
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
    print("scale", scaler.get_scale())
