import torch
from torch import nn

torch.manual_seed(0)
net = nn.Sequential(nn.Embedding(20, 4), nn.Flatten(), nn.Linear(8, 2)).half()
optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
for step in range(5):
    words = torch.randint(0, 20, (6, 2))
    loss = nn.functional.cross_entropy(net(words).float(), words[:, 0] % 2)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
