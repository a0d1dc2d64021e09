"""Adam with its usual epsilon on float16 weights.

Rows of the embedding that the batch does not use have a gradient of 0, 1e-8 is 0 in float16, and
the update is 0 / 0.
"""
# /// zoo
# cause = "bad-update"
# step = 0
# fix = "setting"
# backends = ["plain-torch"]
# stands_for = ["H11", "plain-torch 15"]
# ///

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Embedding(40, 8), nn.Flatten(), nn.Linear(4 * 8, 2)).half()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
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
