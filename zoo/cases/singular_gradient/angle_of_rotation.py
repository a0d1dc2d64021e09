"""Camera poses; the error is the angle between two rotations, the arc cosine of a trace.

One camera did not turn: the cosine is limited to 1, where the arc cosine has no derivative.
"""
# /// zoo
# cause = "singular-gradient"
# step = 9
# rows = [4]
# fix = "source"
# value = "exact"
# backends = ["plain-torch"]
# stands_for = ["C01", "C03"]
# ///

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def geodesic(axis_a, axis_b):
    """Angle between directions of the camera, in radians."""
    cosine = (axis_a * axis_b).sum(-1).clamp(-1.0, 1.0)
    return torch.acos(cosine)  # at fault


class Pose(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 3))

    def forward(self, features, start):
        turned = start + self.net(features) * features.abs().sum(1, keepdim=True)
        return turned / turned.norm(dim=1, keepdim=True)


def make(number):
    features = torch.randn(number, 6)
    start = nn.functional.normalize(torch.randn(number, 3), dim=1)
    end = nn.functional.normalize(start + 0.5 * torch.randn(number, 3), dim=1)
    features[9 * 8 + 4] = 0.0  # no flow in the picture: the camera did not turn
    start[9 * 8 + 4] = end[9 * 8 + 4] = torch.tensor([0.0, 1.0, 0.0])
    return TensorDataset(features, start, end)


class PoseTrainer:
    def __init__(self):
        self.model = Pose()
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-3)
        self.scheduler = torch.optim.lr_scheduler.StepLR(self.optimizer, 1, 0.5)

    def run_epoch(self, loader):
        for features, start, end in loader:
            angle = geodesic(self.model(features, start), end)
            loss = angle.mean()
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
        self.scheduler.step()
        return loss.item()


torch.manual_seed(18)
trainer = PoseTrainer()
loader = DataLoader(make(120), batch_size=8)
for epoch in range(2):
    print(trainer.run_epoch(loader))
