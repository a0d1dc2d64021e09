"""Which gradients are judged, and how the bound of an update is found."""

import math

import pytest
import torch

from stayfinite.frameworks.torch import private
from stayfinite.frameworks.torch.plain import verdict
from stayfinite.frameworks.torch.plain.clipped import ClippedNorm
from stayfinite.frameworks.torch.plain.verdict import UpdateProof


def gradients(kind):
    torch.manual_seed(0)
    shapes = [(4, 3), (4,), (3,), (5000,), (2,), ()]
    found = [torch.randn(shape) for shape in shapes] + [torch.randn(3).double()]
    if kind == "many":
        found += [torch.randn(200, 200), torch.randn(60, 3).T]
    if kind == "half":
        found += [torch.randn(7).bfloat16()]
    if kind == "sparse":
        embedding = torch.nn.Embedding(4, 2, sparse=True)
        embedding(torch.tensor([0, 2, 2])).sum().backward()
        found += [embedding.weight.grad]
    return found


def bound_of(tensors):
    parameters = [torch.zeros_like(tensor.to_dense()) for tensor in tensors]
    for parameter, tensor in zip(parameters, tensors, strict=True):
        parameter.grad = tensor
    unused = torch.zeros(3)
    return verdict.bound_of_gradients(torch.optim.SGD([*parameters, unused]))


@pytest.mark.parametrize("kind", ["few", "many", "half", "sparse"])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_bad_element_of_any_gradient_is_seen(kind, bad):
    tensors = gradients(kind)
    largest = max(t.to_dense().abs().max().item() for t in tensors)
    assert largest <= bound_of(tensors) < math.inf
    for number in range(len(tensors)):
        tensors = gradients(kind)
        values = tensors[number]
        values = values._values() if values.is_sparse else values
        for place in {(0,) * values.ndim, (-1,) * values.ndim}:
            good = values[place].clone()
            values[place] = bad
            assert not math.isfinite(bound_of(tensors))
            values[place] = good


def test_an_optimizer_without_gradients_is_bounded_by_0():
    assert verdict.bound_of_gradients(torch.optim.SGD([torch.zeros(2)])) == 0.0


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


def test_small_gradients_are_copied_together_beside_large_ones(monkeypatch):
    passes = []
    plain = private.sum_of_squares

    def counted(copied, read):
        passes.append((len(copied), len(read)))
        return plain(copied, read)

    monkeypatch.setattr(private, "sum_of_squares", counted)
    parameters = [torch.nn.Parameter(torch.ones(8)) for _ in range(70)]
    parameters.append(torch.nn.Parameter(torch.ones(100, 100)))
    optimizer = torch.optim.Adam(parameters)
    for parameter in parameters:
        parameter.grad = torch.full_like(parameter, 0.5)
    proof = UpdateProof(optimizer)
    held = proof.holds_now(optimizer, (), ClippedNorm())
    assert held is not None and len(held) == 71 and passes == [(70, 1)]
    assert verdict.bound_of_gradients(optimizer) == pytest.approx(0.5 * math.sqrt(560 + 10_000))
    for number in (0, 69, 70):
        parameters[number].grad.view(-1)[-1] = math.nan
        assert proof.holds_now(optimizer, (), ClippedNorm()) is None
        parameters[number].grad.view(-1)[-1] = 0.5
