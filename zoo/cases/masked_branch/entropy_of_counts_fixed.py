"""The same training; the logarithm is taken of 1 where nothing is spent."""

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
    spent = torch.where(amount > 0, amount, 1.0)
    return torch.where(amount > 0, amount * torch.log(spent), 0.0).sum(dim=1)


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
