import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
x = torch.rand(96, 4)
x[21] = 0.0
x[43] = 0.0


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.map = nn.Linear(4, 8, bias=False)
        self.norm = nn.BatchNorm1d(8)
        self.drop = nn.Dropout(0.2)

    def forward(self, x):
        h = self.map(x)
        n = (h * h).sum(dim=1)
        return n * torch.log(n), self.drop(self.norm(h))


def run(model, optimizer, schedule, scaler, loader):
    total = 0.0
    for i, (inputs,) in enumerate(loader):
        n, h = model(inputs)
        loss = (n.mean() + h.square().mean()) / 2
        scaler.scale(loss).backward()
        total += loss.item()
        if i % 2 == 1:
            scaler.unscale_(optimizer)
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad()
            schedule.step()
    print("end", total.hex(), scaler.get_scale(), schedule.get_last_lr())


model = Net()
optimizer = torch.optim.AdamW(model.parameters(), 1e-2)
schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, 24)
scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=5)
for _ in range(2):
    run(model, optimizer, schedule, scaler, DataLoader(TensorDataset(x), 8, shuffle=True))
for value in model.state_dict().values():
    print("end", value.numpy().tobytes().hex())
for slots in optimizer.state.values():
    print("end", slots["exp_avg_sq"].numpy().tobytes().hex())
print("end", torch.rand(2))
