import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
x = torch.randn(80, 5)
y = torch.randint(0, 3, (80,))
model = nn.Sequential(
    nn.Linear(5, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 3)
)
opt = torch.optim.AdamW(model.parameters(), lr=1e-2)
sched = torch.optim.lr_scheduler.StepLR(opt, 5, 0.5)
for epoch in range(4):
    for xb, yb in DataLoader(TensorDataset(x, y), batch_size=16, shuffle=True):
        opt.zero_grad(set_to_none=True)
        loss = F.cross_entropy(model(xb), yb)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
        sched.step()
    model.eval()
    with torch.no_grad():
        print(epoch, float(F.cross_entropy(model(x), y)), torch.rand(1).item())
    with torch.inference_mode():
        for xb, yb in DataLoader(TensorDataset(x, y), batch_size=40):
            print(float(F.cross_entropy(model(xb), yb)))
    model.train()

print([p.detach().numpy().tobytes().hex()[:64] for p in model.parameters()])
