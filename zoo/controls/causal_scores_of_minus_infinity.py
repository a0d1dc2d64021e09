"""Causal attention with -inf above the diagonal, in bfloat16, with accumulation: all is well."""
# /// zoo
# backends = ["plain-torch"]
# stands_for = ["plain-torch 2.2"]
# ///

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Text(Dataset):
    def __init__(self, length=10):
        self.ids = torch.randint(0, 30, (600,))
        self.length = length

    def __len__(self):
        return 64

    def __getitem__(self, i):
        start = i * 8
        return {
            "input_ids": self.ids[start : start + self.length],
            "labels": self.ids[start + 1 : start + 1 + self.length],
        }


class Decoder(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        self.embed = nn.Embedding(30, width)
        self.qkv = nn.Linear(width, 3 * width)
        self.head = nn.Linear(width, 30)

    def forward(self, ids):
        q, k, v = self.qkv(self.embed(ids)).chunk(3, dim=-1)
        scores = q @ k.mT / q.size(-1) ** 0.5
        later = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
        return self.head(scores.masked_fill(later, -torch.inf).softmax(-1) @ v)


torch.manual_seed(4)
model = Decoder()
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
for i, batch in enumerate(DataLoader(Text(), batch_size=4, shuffle=True)):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model(batch["input_ids"])
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), batch["labels"].flatten())
    (loss / 4).backward()
    if i % 4 == 3:
        norm = nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        optimizer.zero_grad()
        print(f"{loss.item():.3f} {norm.item():.3f}")
