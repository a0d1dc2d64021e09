import torch
from torch import nn

torch.manual_seed(19)


def reward_of(task, answers):
    if task == 6:
        return torch.zeros(len(answers))
    return answers.square().mean(1)


policy = nn.Linear(4, 6)
optimizer = torch.optim.SGD(policy.parameters(), lr=1e-2)
for task in range(10):
    answers = torch.randn(6, 5)
    rewards = reward_of(task, answers)
    advantages = (rewards - rewards.mean()) / rewards.std()  # <- here
    loss = -(policy(torch.ones(4)).log_softmax(-1) * advantages).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
