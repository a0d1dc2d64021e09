"""The same training; a batch without an answer counts nothing."""

import argparse
import random

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

IGNORED = -100


class Dialogues(Dataset):
    def __init__(self, size, vocabulary, longest):
        draw = random.Random(3)
        self.items = []
        for i in range(size):
            num_asked = 20 if 44 <= i < 48 else draw.randint(3, 10)
            asked = [draw.randrange(1, vocabulary) for _ in range(num_asked)]
            answered = [1 + (token * 7) % (vocabulary - 1) for token in asked[:4]]
            ids = (asked + answered)[:longest]
            labels = ([IGNORED] * len(asked) + answered)[:longest]
            self.items.append({"input_ids": ids, "labels": labels})

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        return self.items[index]


def collate(items):
    longest = max(len(item["input_ids"]) for item in items)
    batch = {"input_ids": [], "labels": []}
    for item in items:
        gap = longest - len(item["input_ids"])
        batch["input_ids"].append(item["input_ids"] + [0] * gap)
        batch["labels"].append(item["labels"] + [IGNORED] * gap)
    return {name: torch.tensor(rows) for name, rows in batch.items()}


class LanguageModel(nn.Module):
    def __init__(self, vocabulary, width):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, width)
        self.rnn = nn.GRU(width, width, batch_first=True)
        self.head = nn.Linear(width, vocabulary)

    def forward(self, input_ids):
        return self.head(self.rnn(self.embed(input_ids))[0])


def answer_loss(logits, labels):
    logits, labels = logits[:, :-1], labels[:, 1:]
    mask = (labels != IGNORED).float()
    log_probs = torch.log_softmax(logits, dim=-1)
    picked = log_probs.gather(-1, labels.clamp(min=0).unsqueeze(-1)).squeeze(-1)
    return -(picked * mask).sum() / mask.sum().clamp(min=1)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--max-length", type=int, default=16)
    parser.add_argument("--log-every", type=int, default=8)
    args = parser.parse_args()

    torch.manual_seed(0)
    data = DataLoader(Dialogues(96, 40, args.max_length), args.batch_size, collate_fn=collate)
    model = LanguageModel(40, 24)
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr)
    for step, batch in enumerate(data):
        loss = answer_loss(model(batch["input_ids"]), batch["labels"])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % args.log_every == 0:
            print(f"step {step} loss {loss.item():.4f}")


if __name__ == "__main__":
    main()
