import random

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

np.random.seed(0)
random.seed(0)
torch.manual_seed(0)
x = np.random.randn(200, 5).astype("float32")
y = (x[:, 0] > 0).astype("int64")
model = nn.Sequential(nn.Linear(5, 16), nn.Tanh(), nn.Linear(16, 2))
opt = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True)


def main():
    for step in range(60):
        idx = np.random.choice(len(x), 16)
        xb, yb = torch.from_numpy(x[idx]), torch.from_numpy(y[idx])
        xb = xb + 0.01 * random.random()
        opt.zero_grad()
        loss = F.cross_entropy(model(xb), yb)
        loss.backward()
        opt.step()
    print(loss.item(), np.random.rand(), random.random())


main()

print([p.detach().numpy().tobytes().hex()[:64] for p in model.parameters()])
