"""The same training; a text without tokens counts 0."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Rollouts(Dataset):
    """What the policy wrote, with the advantage of each text."""

    def __init__(self):
        make = torch.Generator().manual_seed(5)
        self.tokens = torch.randint(1, 30, (64, 10), generator=make)
        self.length = torch.randint(2, 10, (64,), generator=make)
        self.length[7 * 4 + 2] = 0
        self.advantage = torch.randn(64, generator=make)

    def __len__(self):
        return len(self.tokens)

    def __getitem__(self, i):
        return {
            "prompt": f"question {i}",
            "tokens": self.tokens[i],
            "completion_mask": (torch.arange(10) < self.length[i]).float(),
            "advantage": self.advantage[i],
        }


class Policy(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(30, 16)
        self.mix = nn.Linear(16, 16)
        self.head = nn.Linear(16, 30)

    def forward(self, tokens):
        return self.head(torch.tanh(self.mix(self.embed(tokens).cumsum(1))))


class PolicyTrainer:
    def __init__(self, policy, loader, learning_rate=1e-3):
        self.policy = policy
        self.loader = loader
        self.optimizer = torch.optim.Adam(policy.parameters(), lr=learning_rate)
        self.state = {"step": 0, "log": []}

    def compute_loss(self, inputs):
        tokens, mask = inputs["tokens"], inputs["completion_mask"]
        logits = F.pad(self.policy(tokens)[:, :-1], (0, 0, 1, 0))
        log_prob = logits.log_softmax(-1).gather(-1, tokens[..., None]).squeeze(-1)
        of_text = (log_prob * mask).sum(-1) / mask.sum(-1).clamp(min=1.0)
        return -(of_text * inputs["advantage"]).mean()

    def train(self):
        self.policy.train()
        for inputs in self.loader:
            loss = self.compute_loss(inputs)
            loss.backward()
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
            self.state["step"] += 1
            self.state["log"].append(loss.detach())
        return self.state


torch.manual_seed(2)
trainer = PolicyTrainer(Policy(), DataLoader(Rollouts(), batch_size=4))
state = trainer.train()
print(state["step"], float(torch.stack(state["log"]).mean()))
