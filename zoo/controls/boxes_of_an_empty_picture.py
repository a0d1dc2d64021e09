"""Detection by index: without boxes the loss is a mean over nothing, NaN, and its gradient 0."""
# /// zoo
# backends = ["plain-torch"]
# stands_for = ["plain-torch 1.2"]
# ///

import torch
from torch import nn

torch.manual_seed(7)
model = nn.Linear(6, 5)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
for i in range(20):
    cells = torch.randn(16, 6)
    positive = torch.rand(16) < (0.0 if i == 9 else 0.4)
    boxes = torch.rand(16, 4)
    out = model(cells)
    score = nn.functional.binary_cross_entropy_with_logits(out[:, 0], positive.float())
    loss = score + nn.functional.l1_loss(out[positive, 1:], boxes[positive])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
assert model.weight.isfinite().all()
print(loss.item())
