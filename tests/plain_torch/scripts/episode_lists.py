import torch
import torch.nn as nn


class Policy(nn.Module):
    def __init__(self):
        super().__init__()
        self.out = nn.Linear(4, 2)
        self.log_probs, self.rewards = [], []

    def forward(self, x):
        return torch.softmax(self.out(x), dim=-1)


torch.manual_seed(5)
policy = Policy()
optimizer = torch.optim.Adam(policy.parameters(), lr=1e-2)


def act(state):
    chosen = torch.distributions.Categorical(policy(state))
    action = chosen.sample()
    policy.log_probs.append(chosen.log_prob(action))
    return action.item()


def finish_episode():
    returns = torch.tensor(policy.rewards)
    returns = (returns - returns.mean()) / returns.std()  # <- here
    loss = -(torch.stack(policy.log_probs) * returns).sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    del policy.rewards[:]
    del policy.log_probs[:]


def main():
    for episode in range(8):
        for t in range(6):
            action = act(torch.randn(4))
            policy.rewards.append(1.0 if episode == 4 else action + 0.1 * t)
        finish_episode()


main()
