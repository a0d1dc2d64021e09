"""A `continue` is before the statement that cannot be made again."""

import torch

torch.manual_seed(5)
weight = torch.nn.ParameterList([torch.ones(4)])
optimizer = torch.optim.SGD(weight.parameters(), 0.001)


class Source:
    """Gives another row at each call, and cannot be set back."""

    def __init__(self):
        self.state = torch.Generator().manual_seed(1)
        self.rows = iter(range(1, 40))

    def draw(self):
        number = next(self.rows)
        row = torch.ones(4)
        row[number % 4] = float(number % 7 > 0)
        return row


source, turns = Source(), []
for turn in range(12):
    if turn == 5:
        continue
    x = source.draw()
    turns.append(turn)
    loss = (weight[0] * x).sqrt().sum()  # <- here
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
