import json
import os
from pathlib import Path

import torch
from torch import nn

torch.manual_seed(0)
x = torch.rand(64, 4)
x[43] = 0.0
net = nn.Linear(4, 8, bias=False)
optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
log = Path("log.csv").open("w")  # noqa: SIM115
Path("notes.txt").write_text("begin\n")
for step in range(8):
    batch = x[step * 8 : step * 8 + 8]
    print("step", step)
    with open("notes.txt", "a") as notes:  # noqa: PTH123
        notes.write(f"step {step}\n")
    assert f"step {step}" in Path("notes.txt").read_text()
    norm = torch.sqrt((net(batch) ** 2).sum(dim=1))
    loss = (norm - 1).square().mean()
    log.write(f"{step},{loss.item():.4f}\n")
    Path("last.tmp").write_text(json.dumps({"step": step}))
    os.replace("last.tmp", "last.json")  # noqa: PTH105
    if step > 0:
        os.remove(f"weights-{step - 1}.pt")  # noqa: PTH107
    torch.save(net.state_dict(), f"weights-{step}.pt")
    os.makedirs("made", exist_ok=True)  # noqa: PTH103
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
