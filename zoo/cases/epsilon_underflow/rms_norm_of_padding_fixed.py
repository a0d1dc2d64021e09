"""The same training; the norm is computed in float32, where the epsilon counts."""

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

PAD = 0


class Sentences(Dataset):
    def __init__(self):
        self.tokens = torch.randint(1, 50, (64, 6))
        self.tokens[5 * 8 + 2, 4:] = PAD
        self.topic = self.tokens[:, 0] % 3

    def __len__(self):
        return 64

    def __getitem__(self, i):
        return self.tokens[i], self.topic[i]


class RMSNorm(nn.Module):
    def __init__(self, width, eps=1e-8):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x):
        x = x.float()
        mean_square = x.pow(2).mean(-1, keepdim=True)
        return self.weight * (x * torch.rsqrt(mean_square + self.eps)).to(self.weight.dtype)


class Topics(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        self.embed = nn.Embedding(50, width, padding_idx=PAD)
        self.norm = RMSNorm(width)
        self.head = nn.Linear(width, 3)

    def forward(self, tokens):
        return self.head(self.norm(self.embed(tokens)).mean(1))


def main():
    torch.manual_seed(15)
    model = Topics().half()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for epoch in range(2):
        for tokens, topic in DataLoader(Sentences(), batch_size=8):
            loss = nn.functional.cross_entropy(model(tokens).float(), topic)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(epoch, round(loss.item(), 4))


main()
