import torch
from torch import nn

torch.manual_seed(0)
generator = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
critic = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 1))
of_generator = torch.optim.Adam(generator.parameters(), 1e-2)
of_critic = torch.optim.Adam(critic.parameters(), 1e-2)
real = torch.randn(256, 2)
for i in range(20):
    batch = real[torch.randint(0, 256, (16,))]
    fake = generator(torch.randn(16, 4))
    of_critic.zero_grad()
    right = nn.functional.softplus(-critic(batch)).mean()
    wrong = nn.functional.softplus(critic(fake.detach())).mean()
    (right + wrong).backward()
    of_critic.step()
    of_generator.zero_grad()
    gap = fake * float(i % 10 != 3)
    loss = nn.functional.softplus(-critic(fake)).mean() + torch.sqrt((gap * gap).sum(dim=1)).mean()
    loss.backward()
    of_generator.step()
    print("end", i, loss.item().hex())
for weight in (*generator.parameters(), *critic.parameters()):
    print("end", weight.detach().numpy().tobytes().hex())
