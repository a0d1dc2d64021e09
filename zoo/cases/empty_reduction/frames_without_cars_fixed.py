"""The same training; pictures without a car have no error of boxes."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(11)
images = torch.rand(96, 1, 16, 16)
has_car = torch.rand(96, 4, 4) < 0.2
has_car[72:80] = False  # the night shift
boxes = torch.rand(96, 4, 4, 4)
images += F.interpolate(has_car[:, None].float(), scale_factor=4)

detector = nn.Sequential(
    nn.Conv2d(1, 8, 3, stride=2, padding=1),
    nn.BatchNorm2d(8),
    nn.ReLU(),
    nn.Conv2d(8, 16, 3, stride=2, padding=1),
    nn.ReLU(),
    nn.Conv2d(16, 5, 1),
)
optimizer = torch.optim.SGD(detector.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)
loader = DataLoader(TensorDataset(images, has_car, boxes), batch_size=8)

for i, (image, positive, box) in enumerate(loader):
    optimizer.zero_grad()
    out = detector(image).permute(0, 2, 3, 1)
    score_loss = F.binary_cross_entropy_with_logits(out[..., 0], positive.float())
    error = F.smooth_l1_loss(out[..., 1:].sigmoid(), box, reduction="none").mean(-1)
    box_loss = (error * positive).sum() / positive.sum().clamp(min=1)
    loss = score_loss + 2.0 * box_loss
    loss.backward()
    optimizer.step()
    if i % 4 == 3:
        print(f"[{i + 1}/{len(loader)}] {score_loss.item():.3f} {box_loss.item():.3f}")
