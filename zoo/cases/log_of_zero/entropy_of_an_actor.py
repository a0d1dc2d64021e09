"""Actor-critic with a GRU whose state is carried on; an entropy bonus of p * log(p).

One logit is far below the others, its probability is 0 in float32, and 0 * log(0) is NaN.
"""
# /// zoo
# cause = "log-of-zero"
# step = 12
# rows = [1]
# fix = "source"
# value = "exact"
# backends = ["plain-torch"]
# stands_for = ["D05", "plain-torch 5"]
# ///

import torch
from torch import nn


class Agent(nn.Module):
    def __init__(self, n_obs=4, n_actions=3, width=16):
        super().__init__()
        self.gru = nn.GRUCell(n_obs, width)
        self.actor = nn.Linear(width, n_actions)
        self.skip = nn.Linear(n_obs, n_actions)
        self.critic = nn.Linear(width, 1)

    def forward(self, obs, state):
        state = self.gru(obs, state)
        return self.actor(state) + self.skip(obs), self.critic(state).squeeze(-1), state


def sensors(t, generator):
    obs = torch.randn(4, 4, generator=generator)
    if t == 12:
        obs[1] = torch.tensor([500.0, -400.0, 300.0, 600.0])
    return obs


generator = torch.Generator().manual_seed(77)
torch.manual_seed(77)
agent = Agent()
optimizer = torch.optim.SGD(agent.parameters(), lr=1e-3)
state = torch.zeros(4, 16)
running_return = 0.0
for t in range(30):
    logits, value, state = agent(sensors(t, generator), state)
    probs = torch.softmax(logits, dim=-1)
    action = torch.multinomial(probs.detach(), 1, generator=generator)
    reward = torch.rand(4, generator=generator)
    running_return = 0.9 * running_return + 0.1 * reward.mean().item()
    advantage = reward - value
    chosen = torch.log_softmax(logits, dim=-1).gather(1, action).squeeze(1)
    entropy = -(probs * torch.log(probs)).sum(-1)  # at fault
    loss = (
        -(chosen * advantage.detach()).mean()
        + 0.5 * advantage.pow(2).mean()
        - 0.01 * entropy.mean()
    )
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    state = state.detach()
print("return", running_return)
