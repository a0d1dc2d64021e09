import torch
import torch.nn as nn
from torch.utils.data import DataLoader

torch.manual_seed(0)
G = nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 2))
model = D = nn.Sequential(nn.Linear(2, 16), nn.LeakyReLU(), nn.Linear(16, 1))
og = torch.optim.Adam(G.parameters(), 1e-3)
od = torch.optim.Adam(D.parameters(), 1e-3)
data = DataLoader(torch.randn(64, 2), batch_size=16, shuffle=True)
bce = nn.BCEWithLogitsLoss()
for epoch in range(5):
    for real in data:
        z = torch.randn(len(real), 4)
        fake = G(z)
        od.zero_grad()
        ld = bce(D(real), torch.ones(len(real), 1)) + bce(
            D(fake.detach()), torch.zeros(len(real), 1)
        )
        ld.backward()
        od.step()
        og.zero_grad()
        lg = bce(D(fake), torch.ones(len(real), 1))
        lg.backward()
        og.step()
print([p.sum().item() for p in G.parameters()])

print([p.detach().numpy().tobytes().hex()[:64] for p in model.parameters()])
