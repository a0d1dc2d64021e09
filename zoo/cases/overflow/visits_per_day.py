"""Poisson regression of visits with the rate given by its logarithm.

An advertisement of a hundred times the usual budget; the exponential of its score is infinite.
"""
# /// zoo
# cause = "overflow"
# step = 13
# rows = [3]
# fix = "source"
# value = "bounded"
# backends = ["plain-torch"]
# stands_for = ["D03"]
# ///

import torch
import torch.nn.functional as F
from torch.utils.data import BatchSampler, DataLoader, SequentialSampler, TensorDataset

torch.manual_seed(2)
budget = torch.rand(160, 3)
budget[13 * 8 + 3] = torch.tensor([120.0, 90.0, 150.0])
visits = torch.poisson(torch.exp(0.5 + budget[:, 0].clamp(max=1.0)))
shop = TensorDataset(budget, visits)
sampler = BatchSampler(SequentialSampler(shop), batch_size=8, drop_last=True)
loader = DataLoader(shop, batch_sampler=sampler)

model = torch.nn.Linear(3, 1)
torch.nn.init.constant_(model.weight, 0.4)
optimizer = torch.optim.Adagrad(model.parameters(), lr=0.01)
best = float("inf")
for x, y in loader:
    log_rate = model(x).squeeze(1)
    loss = F.poisson_nll_loss(log_rate, y, log_input=True)  # at fault
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    best = min(best, loss.item())
print("best", best)
