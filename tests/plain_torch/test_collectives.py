"""Calls to other processes in a step that is made in one process alone."""

from __future__ import annotations

import pytest
import torch
import torch.distributed as dist

from stayfinite.frameworks.step import CannotRemakeError
from stayfinite.frameworks.torch.plain.collectives import without_collectives

pytestmark = pytest.mark.skipif(not dist.is_available(), reason="PyTorch without processes")


@pytest.fixture
def group(tmp_path):
    dist.init_process_group(
        "gloo", store=dist.FileStore(str(tmp_path / "store"), 1), rank=0, world_size=1
    )
    yield
    dist.destroy_process_group()


@pytest.mark.usefixtures("group")
def test_no_call_reaches_another_process_by_any_name():
    from torch.distributed import all_reduce  # not looked up in its module

    gradient, found = torch.ones(3), [torch.zeros(3)]
    with without_collectives() as left_out:
        all_reduce(torch.ones(2))
        assert all_reduce(gradient, op=dist.ReduceOp.SUM, async_op=True).wait()
        dist.barrier()
        with pytest.raises(CannotRemakeError, match="values from processes"):
            dist.all_gather_object([None], "a")
    assert left_out.largest == 3
    dist.all_gather(found, gradient)
    assert torch.equal(found[0], gradient)
