import torch
import torch.nn as nn


class Agent:
    def __init__(self):
        self.actor, self.critic = nn.Linear(5, 3), nn.Linear(5, 1)
        self.of_actor = torch.optim.Adam(self.actor.parameters(), lr=1e-2)
        self.of_critic = torch.optim.SGD(self.critic.parameters(), lr=1e-3)

    def update(self, state, wanted):
        value = self.critic(state).squeeze(-1)
        chosen = torch.log_softmax(self.actor(state), -1)[:, 0]
        self.of_actor.zero_grad()
        loss = -(chosen * (wanted - value).detach()).mean()
        loss.backward()
        self.of_actor.step()
        wrong = (value - wanted).abs().pow(0.5).mean()  # <- here
        self.of_critic.zero_grad()
        wrong.backward()
        self.of_critic.step()


torch.manual_seed(17)
agent = Agent()
it = 0
while it < 8:
    state = torch.randn(6, 5)
    with torch.no_grad():
        action = torch.multinomial(torch.softmax(agent.actor(state), -1), 1)
        wanted = state.sum(1) + action.squeeze(1)
        if it == 4:
            wanted[2] = agent.critic(state).squeeze(-1)[2]
    agent.update(state, wanted)
    it += 1
