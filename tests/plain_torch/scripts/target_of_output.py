import torch

torch.manual_seed(0)


def angle(p, q):
    return torch.arccos((p * q).sum(-1))  # <- here


net = torch.nn.Linear(3, 4)
optimizer = torch.optim.SGD(net.parameters(), lr=1e-3)
inputs = torch.randn(32, 3)
poses = torch.nn.functional.normalize(torch.randn(32, 4), dim=1)
for first in range(0, 32, 8):
    rows = torch.arange(first, first + 8)
    out = net(inputs[rows])
    unit = out / out.norm(dim=1, keepdim=True)
    if first == 16:
        with torch.no_grad():
            poses[rows[5]] = unit[5]
            poses[rows[5]] = poses[rows[5]] * 1.00001
    loss = angle(unit, poses[rows]).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
