import torch

torch.manual_seed(0)
model = torch.nn.Sequential(
    torch.nn.Conv1d(2, 4, 3, bias=False),
    torch.nn.GroupNorm(2, 4, eps=0.0),  # <- here
)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
x = torch.randn(20, 2, 6)
x[13] = 0.0
for batch in x.split(4):
    optimizer.zero_grad()
    model(batch).abs().mean().backward()
    optimizer.step()
