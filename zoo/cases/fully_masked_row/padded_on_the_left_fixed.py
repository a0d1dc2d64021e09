"""The same training; a padding token looks at itself, which nobody reads."""

import math

import torch
import torch.nn as nn
from torch.nn import functional as F

batch_size = 6
block_size = 12
n_embd = 24
n_head = 2
vocab_size = 32
max_iters = 30
learning_rate = 1e-3
warmup_iters = 5

torch.manual_seed(1337)
text = torch.randint(1, vocab_size, (2000,))


def get_batch(it):
    ix = torch.randint(len(text) - block_size - 1, (batch_size,))
    x = torch.stack([text[i : i + block_size] for i in ix])
    y = torch.stack([text[i + 1 : i + 1 + block_size] for i in ix])
    if it == 8:  # the beginning of a document is shorter than the block
        x[3, :5], y[3, :5] = 0, -1
    return x, y


class CausalSelfAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.c_attn = nn.Linear(n_embd, 3 * n_embd)
        self.c_proj = nn.Linear(n_embd, n_embd)
        self.register_buffer("causal", torch.tril(torch.ones(block_size, block_size)).bool())

    def forward(self, x, is_token):
        B, T, C = x.shape
        q, k, v = self.c_attn(x).split(n_embd, dim=2)
        q, k, v = (t.view(B, T, n_head, C // n_head).transpose(1, 2) for t in (q, k, v))
        allowed = self.causal[:T, :T] & is_token[:, None, None, :]
        allowed = allowed | torch.eye(T, dtype=torch.bool)
        att = (q @ k.transpose(-2, -1)) / math.sqrt(k.size(-1))
        att = att.masked_fill(~allowed, float("-inf"))
        att = F.softmax(att, dim=-1)
        y = (att @ v).transpose(1, 2).reshape(B, T, C)
        return self.c_proj(y)


class GPT(nn.Module):
    def __init__(self):
        super().__init__()
        self.wte = nn.Embedding(vocab_size, n_embd)
        self.wpe = nn.Embedding(block_size, n_embd)
        self.ln = nn.LayerNorm(n_embd)
        self.attn = CausalSelfAttention()
        self.lm_head = nn.Linear(n_embd, vocab_size)

    def forward(self, idx, targets):
        x = self.wte(idx) + self.wpe.weight[: idx.size(1)]
        x = x + self.attn(self.ln(x), idx != 0)
        logits = self.lm_head(x)
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-1)


model = GPT()
optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, betas=(0.9, 0.95))
it = 0
while True:
    for group in optimizer.param_groups:
        group["lr"] = learning_rate * min(1.0, (it + 1) / warmup_iters)
    X, Y = get_batch(it)
    loss = model(X, Y)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    if it % 10 == 0:
        print(f"iter {it}: loss {loss.item():.4f}")
    it += 1
    if it >= max_iters:
        break
