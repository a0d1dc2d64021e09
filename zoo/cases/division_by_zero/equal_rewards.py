"""Group advantages as in GRPO: rewards minus their mean, divided by their deviation.

All answers to one question got the same reward, and the deviation is 0.
"""
# /// zoo
# cause = "division-by-zero"
# step = 6
# fix = "source"
# value = "undefined"
# backends = ["plain-torch"]
# stands_for = ["E08", "trl#3015"]
# ///

import torch
from torch import nn

torch.manual_seed(19)
GROUP = 6


def reward_of(prompt, tokens):
    """The share of even tokens; the second prompt asks for something that nobody can do."""
    if prompt == 6:
        return torch.zeros(len(tokens))
    return (tokens % 2 == 0).float().mean(1)


class Writer(nn.Module):
    def __init__(self, words=16):
        super().__init__()
        self.prompt = nn.Embedding(10, 12)
        self.out = nn.Linear(12, words)

    def forward(self, prompt):
        return self.out(torch.tanh(self.prompt(prompt))).log_softmax(-1)


policy = Writer()
optimizer = torch.optim.AdamW(policy.parameters(), lr=2e-3, weight_decay=0.0)
prompts = list(range(10))
for prompt in prompts:
    with torch.no_grad():
        probabilities = policy(torch.tensor(prompt)).exp()
        tokens = torch.multinomial(probabilities.expand(GROUP, -1), 5, replacement=True)
        rewards = reward_of(prompt, tokens)
    advantages = (rewards - rewards.mean()) / rewards.std()  # at fault
    logps = policy(torch.tensor(prompt))[tokens]
    loss = -(logps * advantages[:, None]).mean()
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(policy.parameters(), 0.1)
    optimizer.step()
    print(prompt, rewards.mean().item(), loss.item())
