"""Energy of molecules from distances of atoms; `where` gives atoms at the same place distance 0.

The square root of 0 is not taken, but its derivative is infinite, and 0 times infinity is NaN.
"""
# /// zoo
# cause = "masked-branch"
# step = 8
# fix = "source"
# value = "exact"
# backends = ["plain-torch"]
# stands_for = ["A18", "B06"]
# ///

import torch
from torch import Tensor, nn


class PairEnergy(nn.Module):
    def __init__(self, num_atoms: int) -> None:
        super().__init__()
        self.register_buffer("pairs", torch.combinations(torch.arange(num_atoms)))
        self.shift = nn.Linear(4, 3, bias=False)
        self.energy = nn.Sequential(nn.Linear(1, 16), nn.SiLU(), nn.Linear(16, 1))

    def forward(self, position: Tensor, charge: Tensor) -> Tensor:
        moved = position + 0.1 * self.shift(charge)
        i, j = self.pairs.T
        squared = ((moved[:, i] - moved[:, j]) ** 2).sum(-1)
        distance = torch.where(squared > 0, torch.sqrt(squared), 0.0)  # at fault
        return self.energy(distance.unsqueeze(-1)).sum(dim=(1, 2))


def make_data(generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    position = torch.randn(72, 5, 3, generator=generator)
    charge = torch.eye(4)[torch.randint(4, (72, 5), generator=generator)]
    target = position.square().sum((1, 2)) * 0.1
    # A duplicate entry of the file.
    position[8 * 6 + 2, 4], charge[8 * 6 + 2, 4] = position[8 * 6 + 2, 1], charge[8 * 6 + 2, 1]
    return position, charge, target


def run(batch_size: int = 6, lr: float = 1e-3) -> None:
    generator = torch.Generator().manual_seed(44)
    torch.manual_seed(44)
    position, charge, target = make_data(generator)
    model = PairEnergy(5)
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    for start in range(0, len(target), batch_size):
        batch = slice(start, start + batch_size)
        loss = (model(position[batch], charge[batch]) - target[batch]).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(start // batch_size, loss.item())


run()
