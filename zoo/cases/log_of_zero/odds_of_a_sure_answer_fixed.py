"""The same training with the probabilities of the answers in float64."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(5)
VOCABULARY = 12


class Answerer(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, 10)
        self.head = nn.Linear(10, VOCABULARY)

    def forward(self, question, temperature):
        return self.head(self.embed(question)) / temperature[:, None, None]


def mean_logp(logits, answer):
    return logits.double().log_softmax(-1).gather(-1, answer.unsqueeze(-1)).squeeze(-1).mean(-1)


def odds_ratio_loss(chosen_logps, rejected_logps):
    log_odds = (chosen_logps - rejected_logps) - (
        torch.log1p(-torch.exp(chosen_logps)) - torch.log1p(-torch.exp(rejected_logps))
    )
    return -F.logsigmoid(log_odds).mean() - chosen_logps.mean()


model = Answerer()
questions = torch.randint(VOCABULARY, (48, 3))
temperature = torch.ones(48)
with torch.no_grad():
    logits = model(questions, temperature)
    rejected = torch.randint(VOCABULARY, (48, 3))
    rejected[7 * 4 + 2] = logits[7 * 4 + 2].argmax(-1)
    top = logits[7 * 4 + 2].topk(2, dim=-1).values
    temperature[7 * 4 + 2] = (top[:, 0] - top[:, 1]).min() / 20.0
chosen = (rejected + 1) % VOCABULARY
data = DataLoader(TensorDataset(questions, chosen, rejected, temperature), batch_size=4)
optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)
for i, (question, good, bad, heat) in enumerate(data):
    logits = model(question, heat)
    loss = odds_ratio_loss(mean_logp(logits, good), mean_logp(logits, bad))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(i, loss.item())
