"""GRPO with the k3 estimator of the KL divergence to a reference model.

The policy has all but given up a token that the reference still likes: exp of a difference of 95
has no room in float32.
"""
# /// zoo
# cause = "overflow"
# step = 9
# rows = [1]
# fix = "source"
# value = "bounded"
# backends = ["plain-torch"]
# stands_for = ["D06", "trl#3015"]
# ///

from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


@dataclass
class Config:
    beta: float = 0.04
    learning_rate: float = 1e-4
    max_grad_norm: float = 1.0
    per_device_batch_size: int = 4


class Completions(Dataset):
    def __init__(self, vocabulary=24, length=6):
        draw = torch.Generator().manual_seed(17)
        self.ids = torch.randint(1, vocabulary, (64, length), generator=draw)
        self.advantages = torch.randn(64, generator=draw)
        self.reference = torch.full((64, length), -3.2)
        self.given_up = torch.zeros(64, length)
        self.given_up[9 * 4 + 1, 3] = 98.0

    def __len__(self):
        return len(self.ids)

    def __getitem__(self, i):
        return {
            "ids": self.ids[i],
            "advantages": self.advantages[i],
            "ref_per_token_logps": self.reference[i],
            "given_up": self.given_up[i],
        }


class Policy(nn.Module):
    def __init__(self, vocabulary=24):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, 16)
        self.head = nn.Linear(16, vocabulary)

    def forward(self, ids, given_up):
        logits = self.head(torch.tanh(self.embed(ids)))
        lowered = torch.nn.functional.one_hot(ids, logits.size(-1)) * given_up.unsqueeze(-1)
        return (logits - lowered).log_softmax(-1)


class GroupTrainer:
    def __init__(self, model, args, dataset):
        self.model, self.args = model, args
        self.loader = DataLoader(dataset, args.per_device_batch_size)
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=args.learning_rate)

    def _compute_loss(self, inputs):
        log_probs = self.model(inputs["ids"], inputs["given_up"])
        per_token_logps = log_probs.gather(-1, inputs["ids"].unsqueeze(-1)).squeeze(-1)
        difference = inputs["ref_per_token_logps"] - per_token_logps
        per_token_kl = torch.exp(difference) - difference - 1  # at fault
        ratio = torch.exp(per_token_logps - per_token_logps.detach())
        per_token_loss = -ratio * inputs["advantages"].unsqueeze(1)
        return (per_token_loss + self.args.beta * per_token_kl).mean()

    def train(self):
        self.model.train()
        for step, inputs in enumerate(self.loader):
            self.optimizer.zero_grad()
            loss = self._compute_loss(inputs)
            loss.backward()
            norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.args.max_grad_norm)
            self.optimizer.step()
            print({"step": step, "loss": loss.item(), "grad_norm": norm.item()})


torch.manual_seed(1)
GroupTrainer(Policy(), Config(), Completions()).train()
