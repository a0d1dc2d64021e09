"""A singular matrix is shifted by a multiple of the identity, as small as will do, then larger."""

import pytest

from stayfinite.repair import Facts
from tests.repair.helpers import expressions

MECHANISM = "out-of-domain"
SHIFTED = {
    "torch.linalg.cholesky(x)":
        "torch.linalg.cholesky(x + 1e-5 * torch.eye(x.shape[-1], device=x.device))",
    "(a @ b).logdet()":
        "((a @ b) + 1e-5 * torch.eye((a @ b).shape[-1], device=(a @ b).device)).logdet()",
    "torch.linalg.solve(f(x), y)":
        "torch.linalg.solve((matrix := f(x)) + 1e-5 * torch.eye(matrix.shape[-1],"
        " device=matrix.device), y)",
}  # fmt: skip


@pytest.mark.parametrize(("before", "after"), SHIFTED.items())
def test_the_identity_is_added_to_the_matrix(torch, before, after):
    found = expressions(before, MECHANISM, Facts(shift=-5), header="import torch")
    assert (found[0], found[1]) == (after, after.replace("1e-5", "1e-3"))


def test_other_libraries_have_no_device():
    found = expressions("jnp.linalg.inv(x)", MECHANISM, Facts(shift=-6), "import jax.numpy as jnp")
    assert found[0] == "jnp.linalg.inv(x + 1e-6 * jnp.eye(x.shape[-1]))"


def test_nothing_is_added_where_no_matrix_is_at_fault():
    assert expressions("K.log(x)", MECHANISM, Facts()) == []
