"""Predicts shares of a household's spending; zero shares are left out of the entropy by `where`.

The value is right, but the derivative of the logarithm at 0 reaches the gradient through the
branch that is not taken.
"""
# /// zoo
# cause = "masked-branch"
# step = 4
# rows = [6]
# fix = "source"
# value = "exact"
# backends = ["plain-torch"]
# stands_for = ["B01", "pytorch#4132"]
# ///

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Households(Dataset):
    def __init__(self):
        torch.manual_seed(14)
        self.income = torch.rand(64, 4) + 0.5
        self.income[4 * 8 + 6] = torch.tensor([-90.0, -180.0, -90.0, -70.0])
        self.share = torch.softmax(torch.randn(64, 3), dim=1)

    def __len__(self):
        return len(self.income)

    def __getitem__(self, index):
        return self.income[index], self.share[index]


class Spending(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 3)
        nn.init.constant_(self.linear.weight, 0.3)

    def forward(self, income):
        return nn.functional.softplus(self.linear(income))


def entropy(amount):
    return torch.where(amount > 0, amount * torch.log(amount), 0.0).sum(dim=1)  # at fault


model = Spending()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for epoch in range(2):
    for income, share in DataLoader(Households(), batch_size=8):
        amount = model(income)
        loss = (amount - share).square().mean() + 0.01 * entropy(amount).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch} loss {loss:.4f}")
