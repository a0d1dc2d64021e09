import torch

torch.manual_seed(0)
weights = torch.nn.Parameter(torch.randn(4))
optimizer = torch.optim.SGD([weights], lr=0.1)
for step in range(5):
    legal = torch.rand(3, 4) < 0.7
    legal[:, 0] = True
    if step == 3:
        legal[1] = False
    scores = (weights * torch.ones(3, 4)).masked_fill(~legal, -torch.inf)
    alpha = scores[0]
    for score in scores[1:]:
        alpha = torch.logsumexp(alpha, dim=0) + score  # <- here
    loss = torch.logsumexp(alpha, dim=0) - scores[:, 0].sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(loss.item())
