import torch
from torch import nn

torch.manual_seed(0)
cell, head, drop = nn.RNNCell(4, 8), nn.Linear(8, 1), nn.Dropout(0.1)
x, y = torch.randn(30, 16, 4), torch.randn(30, 16, 1)
x[17, 3] = 0.0


def train():
    optimizer = torch.optim.SGD([*cell.parameters(), *head.parameters()], lr=1e-2)
    state, loss = torch.zeros(16, 8), 0.0
    for step in range(30):
        state = cell(x[step], state)
        length = x[step].square().sum(dim=1, keepdim=True)
        out = head(drop(state)) * (length / length)  # <- here
        loss = loss + (out - y[step]).square().mean()
        if (step + 1) % 5 == 0:
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            state = state.detach()
            loss = 0.0


train()
