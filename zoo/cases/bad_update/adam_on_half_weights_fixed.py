"""The same training with an epsilon that float16 holds."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Embedding(40, 8), nn.Flatten(), nn.Linear(4 * 8, 2)).half()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, eps=1e-4)
words = torch.randint(0, 40, (128, 4))
labels = (words.sum(1) > 78).long()

losses = []
for epoch in range(2):
    order = torch.randperm(128)
    for rows in order.split(16):
        optimizer.zero_grad()
        logits = model(words[rows])
        loss = nn.functional.cross_entropy(logits.float(), labels[rows])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
print(sum(losses) / len(losses))
