"""Sentiment of short reviews with `nn.MultiheadAttention` and a key padding mask.

One review consists of stop words only. They are removed, and every key of its row is masked.
"""
# /// zoo
# cause = "fully-masked-row"
# step = 5
# rows = [1]
# fix = "source"
# value = "undefined"
# backends = ["plain-torch"]
# stands_for = ["F01", "pytorch#103749"]
# ///

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

PAD = 0


class Reviews(Dataset):
    def __init__(self, generator):
        self.words = torch.randint(1, 60, (80, 9), generator=generator)
        length = torch.randint(2, 10, (80,), generator=generator)
        length[5 * 8 + 1] = 0
        self.words[torch.arange(9) >= length[:, None]] = PAD
        self.labels = (self.words % 2 == 0).sum(1) % 2

    def __len__(self):
        return 80

    def __getitem__(self, i):
        return {"words": self.words[i], "label": self.labels[i]}


class Reader(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        self.embed = nn.Embedding(60, width, padding_idx=PAD)
        self.question = nn.Parameter(torch.randn(1, 1, width))
        self.attention = nn.MultiheadAttention(width, 2, batch_first=True)  # at fault
        self.head = nn.Linear(width, 2)

    def forward(self, words):
        x = self.embed(words)
        question = self.question.expand(len(words), -1, -1)
        read, weights = self.attention(question, x, x, key_padding_mask=words == PAD)
        return self.head(read[:, 0]), weights


class Trainer:
    def __init__(self, model, loader, epochs):
        self.model, self.loader, self.epochs = model, loader, epochs
        self.criterion = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

    def training_step(self, batch):
        logits, _ = self.model(batch["words"])
        return self.criterion(logits, batch["label"])

    def fit(self):
        for epoch in range(self.epochs):
            running = 0.0
            for batch_index, batch in enumerate(self.loader):
                loss = self.training_step(batch)
                self.optimizer.zero_grad()
                loss.backward()
                self.optimizer.step()
                running += loss.item()
            print(f"epoch {epoch}: {running / (batch_index + 1):.4f}")


if __name__ == "__main__":
    torch.manual_seed(8)
    reviews = Reviews(torch.Generator().manual_seed(8))
    Trainer(Reader(), DataLoader(reviews, batch_size=8), epochs=2).fit()
