"""Written with PyTorch: functions and methods of tensors."""

import torch
import torch.nn.functional as F

WIDTH = 0.5


def logistic_density(x, y):
    z = (x - y) / WIDTH
    e = torch.exp(-z)
    density = e / (WIDTH * (1 + e) ** 2)
    return -torch.log(density).mean()


def logistic_density_exact(x, y):
    z = (x - y) / WIDTH
    return -(-z - 2.0 * F.softplus(-z) + 0.693147181).mean()


def peak(x):
    highest = x.pow(16).sum(dim=-1, keepdim=True).pow(1.0 / 16)
    return highest.log()


def peak_exact(x):
    scale = x.abs().amax(dim=-1, keepdim=True).detach()
    highest = scale * torch.sum((x / scale) ** 16, dim=-1, keepdim=True) ** (1.0 / 16)
    return highest.log()


def chain_of_methods(x):
    return x.sigmoid().log().mean(-1)


def chain_of_methods_exact(x):
    return F.logsigmoid(x).mean(-1)


def in_place(x):
    total = torch.exp(x).sum(dim=1)
    total = torch.log(total)
    total *= -0.5
    return total


def in_place_exact(x):
    total = torch.logsumexp(x, dim=1)
    total *= -0.5
    return total


def clamped(x):
    return x.clamp(min=0.0).sqrt()


def clamped_exact(x):
    return x.clamp(min=1e-06).sqrt()


def weighted(x, mask):
    weights = torch.exp(x) * mask
    return weights / weights.sum(1, keepdim=True)


def weighted_exact(x, mask):
    weights = torch.exp(x - torch.amax(x, dim=1, keepdim=True).detach()) * mask
    return weights / weights.sum(1, keepdim=True)


def largest(x):
    values, _ = x.max(dim=1, keepdim=True)
    return torch.log(torch.exp(x - values).sum(1)) + values.squeeze(1)


def largest_exact(x):
    values, _ = x.max(dim=1, keepdim=True)
    return torch.logsumexp(x, dim=1)


def hill(x, y):
    return x**4 / (y**4 + x**4)


def hill_exact(x, y):
    return torch.sigmoid(4 * (torch.log(x) - torch.log(y)))


def double_island(x, y):
    return torch.exp(x) - torch.exp(y)


def double_island_exact(x, y):
    return (torch.exp(x.double()) - torch.exp(y.double())).float()


def normal_tail(x):
    return torch.log(0.5 * (1 + torch.erf(x / 2**0.5)))


def normal_tail_exact(x):
    return torch.special.log_ndtr(x)


def share(a):
    return a / torch.mean(a)


def share_exact(a):
    return a / torch.mean(a, dim=-1, keepdim=True)
