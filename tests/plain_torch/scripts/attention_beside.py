"""Attention with a mask of padding, and a loss that divides by a count of 0 for another reason."""

import torch
from torch import nn

torch.manual_seed(0)
embedding, head = nn.Embedding(9, 4), nn.Linear(4, 9)
optimizer = torch.optim.SGD([*embedding.parameters(), *head.parameters()], lr=0.1)
tokens = torch.randint(1, 9, (16, 5))
tokens[6, 3:] = 0
answer = (torch.arange(5) > 2).expand(16, 5) & (tokens > 0)

for step in range(4):
    ids, counts = tokens[step * 4 : step * 4 + 4], answer[step * 4 : step * 4 + 4].float()
    x = embedding(ids)
    mask = (ids > 0)[:, None, None, :].expand(-1, 1, 5, -1)
    heads = x[:, None]
    hidden = nn.functional.scaled_dot_product_attention(heads, heads, heads, attn_mask=mask)[:, 0]
    error = nn.functional.cross_entropy(head(hidden).transpose(1, 2), ids, reduction="none")
    loss = ((error * counts).sum(1) / counts.sum(1)).mean()  # <- here
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
