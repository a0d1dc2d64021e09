"""The same training; a padding token has the ratio 1 before it is left out."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader


def rollouts(number=48, length=8, vocabulary=20):
    draw = torch.Generator().manual_seed(30)
    items = []
    for i in range(number):
        ids = torch.randint(1, vocabulary, (length,), generator=draw)
        old = -2.0 - torch.rand(length, generator=draw)
        mask = torch.ones(length)
        if i == 3 * 6 + 3:
            ids[5:], old[5:], mask[5:] = 0, -1000.0, 0.0
        items.append({"ids": ids, "old_logps": old, "mask": mask, "advantage": torch.tensor(0.7)})
    return items


class TokenPolicy(nn.Module):
    def __init__(self, vocabulary=20, width=12):
        super().__init__()
        self.table = nn.Embedding(vocabulary, width)
        self.out = nn.Linear(width, vocabulary)

    def forward(self, ids):
        previous = F.pad(self.table(ids)[:, :-1], (0, 0, 1, 0))
        return F.log_softmax(self.out(previous), dim=-1)


def policy_loss(policy, batch):
    logps = policy(batch["ids"]).gather(-1, batch["ids"].unsqueeze(-1)).squeeze(-1)
    log_ratio = torch.where(batch["mask"] > 0, logps - batch["old_logps"], 0.0)
    ratio = torch.exp(log_ratio)
    per_token = ratio * batch["advantage"].unsqueeze(1) * batch["mask"]
    return -per_token.sum() / batch["mask"].sum()


torch.manual_seed(3)
policy = TokenPolicy()
optimizer = torch.optim.AdamW(policy.parameters(), lr=5e-4)
schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 0.2, 1.0, total_iters=4)
for batch in DataLoader(rollouts(), batch_size=6):
    loss = policy_loss(policy, batch)
    loss.backward()
    optimizer.step()
    schedule.step()
    optimizer.zero_grad()
    print(f"{schedule.get_last_lr()[0]:.1e} {loss.item():.4f}")
