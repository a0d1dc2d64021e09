import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)
data = torch.randn(500, 4)
data[300:310] = float("nan")


def get_batch():
    ix = torch.randint(0, 480, (8,))
    return data[ix], data[ix + 1]


model = nn.Linear(4, 4)


def main():
    opt = torch.optim.AdamW(model.parameters(), lr=1e-2)
    X, Y = get_batch()
    it = 0
    while True:
        for g in opt.param_groups:
            g["lr"] = 1e-2 / (1 + it)
        loss = F.mse_loss(model(X), Y)
        X, Y = get_batch()
        loss.backward()
        opt.step()
        opt.zero_grad(set_to_none=True)
        it += 1
        if it > 100:
            break


main()
