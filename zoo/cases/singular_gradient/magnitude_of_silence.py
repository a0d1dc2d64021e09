"""Speech enhancement on spectra; the magnitude is the root of two squares.

A clip begins with digital silence, where real and imaginary part are 0.
"""
# /// zoo
# cause = "singular-gradient"
# step = 5
# rows = [0]
# fix = "source"
# value = "exact"
# backends = ["plain-torch"]
# stands_for = ["A15", "A03"]
# ///

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Clips(Dataset):
    def __init__(self):
        self.noisy = torch.randn(48, 64)
        self.noisy[5 * 4, :32] = 0.0
        self.clean = 0.5 * self.noisy

    def __len__(self):
        return len(self.noisy)

    def __getitem__(self, i):
        return self.noisy[i], self.clean[i]


class Enhancer(nn.Module):
    def __init__(self):
        super().__init__()
        self.taps = nn.Conv1d(1, 1, 5, padding=2, bias=False)

    def forward(self, wave):
        return self.taps(wave.unsqueeze(1)).squeeze(1)


def magnitude(wave):
    frames = wave.unfold(1, 16, 16)
    spectrum = torch.fft.rfft(frames)
    return torch.sqrt(spectrum.real**2 + spectrum.imag**2)  # at fault


torch.manual_seed(40)
model = Enhancer()
params = [p for p in model.parameters() if p.requires_grad]
optimizer = torch.optim.SGD(params, lr=1e-4, momentum=0.9, nesterov=True)
for epoch in range(2):
    for noisy, clean in DataLoader(Clips(), batch_size=4):
        error = magnitude(model(noisy)) - magnitude(clean)
        loss = error.abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print("epoch", epoch, "loss", loss.item())
