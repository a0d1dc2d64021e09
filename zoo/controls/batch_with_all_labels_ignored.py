"""A batch whose labels are all ignored: its loss is NaN, its gradients are 0, the weights stay."""
# /// zoo
# backends = ["plain-torch"]
# stands_for = ["pytorch#70348", "trl#6702"]
# ///

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
tokens = torch.randint(0, 20, (64, 6))
labels = (tokens * 3 + 1) % 20
labels[24:32] = -100
model = nn.Sequential(nn.Embedding(20, 12), nn.Linear(12, 20))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
for epoch in range(2):
    losses = []
    for x, y in DataLoader(TensorDataset(tokens, labels), batch_size=8):
        loss = nn.functional.cross_entropy(model(x).flatten(0, 1), y.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    print(epoch, torch.tensor(losses).nanmean().item())
assert all(p.isfinite().all() for p in model.parameters())
