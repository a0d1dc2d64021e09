"""Modules of PyTorch that are one function, as parts of a formula."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import stayfinite
from stayfinite.repair.extraction.function_modules import function_of_module


def hooked():
    module = nn.Sigmoid()
    module.register_forward_hook(lambda module, given, result: 2 * result)
    return module


@pytest.mark.parametrize(
    ("module", "found"),
    [
        (nn.Sigmoid(), ("sigmoid", {})),
        (nn.Softmax(dim=1), ("softmax", {"axis": 1})),
        (nn.Softmax(), None),
        (nn.Linear(2, 2), None),
        (hooked(), None),
    ],
)
def test_a_module_without_hooks_is_its_function(module, found):
    assert function_of_module(module) == found


class Gate(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.sigmoid = nn.Sigmoid()

    def forward(self, x):
        return torch.log(1 - self.sigmoid(x * self.weight))


def test_a_formula_is_read_through_it(tmp_path):
    net = Gate()
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-3)
    with pytest.raises(stayfinite.NonFiniteError) as caught, stayfinite.watching(keep=tmp_path):
        for x in torch.tensor([[0.5, 1.0], [2.0, 40.0]]):
            loss = net(x).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    fix = caught.value.incident.fix
    assert fix.verified and "logsigmoid(-x * self.weight)" in fix.diff
