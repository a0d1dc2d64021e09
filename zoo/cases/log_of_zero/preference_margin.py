"""Direct preference optimisation; the loss is the logarithm of a sigmoid.

One answer is long, its margin is -130, and the sigmoid of that is 0.
"""
# /// zoo
# cause = "log-of-zero"
# step = 6
# rows = [1]
# fix = "source"
# value = "exact"
# backends = ["plain-torch"]
# stands_for = ["D01", "trl#1199", "tinker-cookbook 188"]
# ///

import argparse
import copy

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Preferences(Dataset):
    def __init__(self, vocabulary):
        draw = torch.Generator().manual_seed(2)
        self.chosen = torch.randint(2, vocabulary, (40, 12), generator=draw)
        self.rejected = torch.randint(2, vocabulary, (40, 12), generator=draw)
        self.scale = torch.ones(40)
        i = 6 * 4 + 1
        self.chosen[i], self.rejected[i] = self.rejected[i].clone(), self.chosen[i].clone()
        self.scale[i] = 200.0  # times as long as the others

    def __len__(self):
        return 40

    def __getitem__(self, i):
        return {
            "chosen": self.chosen[i],
            "rejected": self.rejected[i],
            "length_factor": self.scale[i],
        }


class Causal(nn.Module):
    def __init__(self, vocabulary):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, 16)
        self.head = nn.Linear(16, vocabulary)

    def sequence_logp(self, ids):
        logits = self.head(self.embed(ids[:, :-1]))
        return logits.log_softmax(-1).gather(-1, ids[:, 1:, None]).sum((1, 2))


def dpo_loss(policy, reference, batch, beta):
    with torch.no_grad():
        reference_margin = reference.sequence_logp(batch["chosen"])
        reference_margin -= reference.sequence_logp(batch["rejected"])
    margin = policy.sequence_logp(batch["chosen"]) - policy.sequence_logp(batch["rejected"])
    logits = beta * batch["length_factor"] * (margin - reference_margin)
    return -torch.log(torch.sigmoid(logits)).mean()  # at fault


def main():
    parser = argparse.ArgumentParser(description="DPO")
    parser.add_argument("--beta", type=float, default=1.0)
    parser.add_argument("--lr", type=float, default=1e-2)
    arguments = parser.parse_args()
    torch.manual_seed(7)
    policy = Causal(30)
    reference = copy.deepcopy(policy).eval()
    with torch.no_grad():  # the policy comes out of supervised training
        policy.head.weight += 0.5 * torch.randn_like(policy.head.weight)
    optimizer = torch.optim.RMSprop(policy.parameters(), lr=arguments.lr * 0.01)
    loader = DataLoader(Preferences(30), batch_size=4)
    for step, batch in enumerate(loader):
        optimizer.zero_grad()
        loss = dpo_loss(policy, reference, batch, arguments.beta)
        loss.backward()
        optimizer.step()
        print(f"{step:3d} {loss.item():.5f}")


if __name__ == "__main__":
    main()
