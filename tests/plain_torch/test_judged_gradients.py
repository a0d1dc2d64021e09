"""Which gradients are judged, and how the bound of an update is found."""

import math

import pytest
import torch

from stayfinite.frameworks.torch.plain import verdict
from stayfinite.frameworks.torch.plain.verdict import UpdateProof


def gradients():
    torch.manual_seed(0)
    shapes = [(4, 3), (4,), (3,), (5000,), (2,), ()]
    halves = [torch.randn(7).bfloat16(), torch.randn(3).double()]
    return [torch.randn(shape) for shape in shapes] + halves


def test_the_bound_is_at_least_the_largest_magnitude():
    tensors = gradients()
    assert verdict.bound_of(tensors) >= max(t.abs().max().item() for t in tensors)
    assert verdict.bound_of([]) == 0.0


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_bad_element_of_any_gradient_is_seen(bad):
    for number, tensor in enumerate(gradients()):
        for position in {0, tensor.numel() - 1}:
            tensors = gradients()
            tensors[number].view(-1)[position] = bad
            assert not math.isfinite(verdict.bound_of(tensors))


def test_a_proof_follows_the_settings_of_its_optimizer():
    model = torch.nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(model.parameters())
    proof = UpdateProof(optimizer)
    assert proof.holds(optimizer, 1.0) and proof.holds(optimizer, 1.0)
    assert not proof.holds(optimizer, math.nan) and not proof.holds(optimizer, 1e16)
    [group] = optimizer.param_groups
    group["betas"] = [0.9, 0.999]
    assert proof.holds(optimizer, 1.0)
    group["betas"][1] = 1.0
    assert not proof.holds(optimizer, 1.0)
    group["betas"][1] = 0.999
    group["lr"] = math.nan
    assert not proof.holds(optimizer, 1.0)
    group["lr"] = 1e-3
    assert proof.holds(optimizer, 1.0)
    model.half()
    assert not proof.holds(optimizer, 1.0)
