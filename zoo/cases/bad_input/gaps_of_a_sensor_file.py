"""Reads a table of sensors with `csv`; a gap in the file becomes NaN."""
# /// zoo
# cause = "bad-input"
# step = 7
# rows = [2]
# fix = "data"
# backends = ["plain-torch"]
# stands_for = ["I01", "ultralytics#280"]
# ///

import csv
import io
import random

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


def sensor_file():
    draw = random.Random(6)
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["temperature", "pressure", "flow", "power"])
    for i in range(96):
        row = [f"{draw.gauss(0, 1):.4f}" for _ in range(3)]
        if i == 7 * 8 + 2:
            row[1] = ""
        writer.writerow([*row, f"{draw.gauss(1, 0.1):.4f}"])
    return out.getvalue()


class SensorTable(Dataset):
    def __init__(self, text):
        self.rows = list(csv.DictReader(io.StringIO(text)))

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        row = self.rows[index]
        values = [float(row[name] or "nan") for name in ("temperature", "pressure", "flow")]
        return torch.tensor(values), torch.tensor([float(row["power"])])


torch.manual_seed(6)
model = nn.Sequential(nn.Linear(3, 16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 1))
optimizer = torch.optim.Adam(model.parameters())
for epoch in range(2):
    for values, power in DataLoader(SensorTable(sensor_file()), batch_size=8):
        loss = nn.functional.huber_loss(model(values), power)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(epoch, loss.item())
