"""The same training on standardised numbers."""

import torch

torch.manual_seed(1)
area = torch.rand(128, 1) * 3000 + 500
rooms = torch.randint(1, 7, (128, 1)).float()
features = torch.cat([area, rooms], dim=1)
features = (features - features.mean(0)) / features.std(0)
price = 0.2 * area + 10 * rooms + 5 * torch.randn(128, 1)
price = (price - price.mean()) / price.std()

w1 = torch.randn(2, 8).mul_(0.3).requires_grad_()
b1 = torch.zeros(8, requires_grad=True)
w2 = torch.randn(8, 1).mul_(0.3).requires_grad_()
b2 = torch.zeros(1, requires_grad=True)
optimizer = torch.optim.SGD([w1, b1, w2, b2], lr=1e-3)

for epoch in range(4):
    for i in range(0, 128, 16):
        hidden = torch.nn.functional.leaky_relu(features[i : i + 16] @ w1 + b1)
        prediction = hidden @ w2 + b2
        loss = ((prediction - price[i : i + 16]) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(epoch, loss.item())
