import torch


class Trainer:
    """Counts its steps before each update; the weight of the penalty follows the count."""

    def __init__(self):
        torch.manual_seed(0)
        self.model = torch.nn.Linear(4, 2)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1)
        self.inputs = torch.randn(64, 4)
        self.inputs[37] = 0.0
        self.num_steps = 0

    def fit(self):
        for rows in self.inputs.split(8):
            self.num_steps += 1
            scores = self.model(rows) - self.model.bias
            penalty = torch.sqrt(scores.pow(2).sum(1)).mean()  # <- here
            loss = (scores - 1).pow(2).mean() + min(1.0, self.num_steps / 10) * penalty
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()


Trainer().fit()
