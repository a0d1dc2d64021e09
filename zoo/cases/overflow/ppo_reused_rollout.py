"""PPO: four epochs over the same rollout, minibatches of a permutation.

The old policy had practically excluded one action; the ratio of probabilities is infinite, and for
a negative advantage the minimum takes it.
"""
# /// zoo
# cause = "overflow"
# step = 3
# fix = "source"
# value = "bounded"
# backends = ["plain-torch"]
# stands_for = ["D06", "plain-torch 5"]
# ///

import numpy as np
import torch
import torch.nn as nn


class ActorCritic(nn.Module):
    def __init__(self, num_inputs, num_actions):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(num_inputs, 32), nn.Tanh())
        self.actor = nn.Linear(32, num_actions)
        self.critic = nn.Linear(32, 1)

    def evaluate(self, states, actions):
        features = self.body(states)
        policy = torch.distributions.Categorical(logits=self.actor(features))
        return policy.log_prob(actions), policy.entropy(), self.critic(features).squeeze(-1)


class PPO:
    def __init__(self, agent, clip=0.2, epochs=4, minibatch=16):
        self.agent, self.clip, self.epochs, self.minibatch = agent, clip, epochs, minibatch
        self.optimizer = torch.optim.Adam(agent.parameters(), lr=3e-4, eps=1e-5)

    def update(self, rollout):
        states, actions, old_log_probs, advantages, returns = rollout
        for _ in range(self.epochs):
            for index in torch.randperm(len(states)).split(self.minibatch):
                log_probs, entropy, values = self.agent.evaluate(states[index], actions[index])
                ratio = torch.exp(log_probs - old_log_probs[index])  # at fault
                surrogate = torch.min(
                    ratio * advantages[index],
                    ratio.clamp(1 - self.clip, 1 + self.clip) * advantages[index],
                )
                value_loss = (returns[index] - values).pow(2).mean()
                loss = -surrogate.mean() + 0.5 * value_loss - 0.01 * entropy.mean()
                self.optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(self.agent.parameters(), 0.5)
                self.optimizer.step()
        return loss.item()


def collect(number):
    states = torch.randn(number, 4)
    actions = torch.from_numpy(np.random.randint(0, 3, number))
    old_log_probs = torch.log(torch.empty(number).uniform_(0.2, 0.5))
    advantages = torch.randn(number)
    old_log_probs[40], advantages[40] = -103.0, -1.5
    return states, actions, old_log_probs, advantages, torch.randn(number)


torch.manual_seed(5)
np.random.seed(5)
ppo = PPO(ActorCritic(4, 3))
print(ppo.update(collect(64)))
