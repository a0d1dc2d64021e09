"""Trainings in several processes, whose gradients are the mean of those of each process.

It is taken by `DistributedDataParallel`, or by the program itself.

A step is made again in one process alone: it must not depend on what the others do meanwhile.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch.nn.parallel import DistributedDataParallel

from stayfinite.frameworks.torch.plain import private
from stayfinite.frameworks.torch.plain.collectives import LeftOut, without_collectives
from stayfinite.frameworks.torch.plain.modules import living

# A launcher such as torchrun ends every process when the first one has ended.
SECONDS_TO_BEGIN = 5.0
SECONDS_TO_END = 300.0
SECONDS_BETWEEN = 0.1
_KEY = "stayfinite/{}/{}"


def replace_spawned(
    replaced_by: Callable[[Callable[..., object]], Callable[..., object]],
) -> None:
    """Have each function that `torch.multiprocessing` calls in new interpreters replaced.

    A forked process has the guard of the one that it was forked from.
    """
    module: Any = sys.modules["torch.multiprocessing.spawn"]
    plain = module.start_processes
    described = inspect.signature(plain)

    @functools.wraps(plain)
    def start_processes(fn: Callable[..., object], *args: Any, **kwargs: Any) -> Any:
        given = described.bind(fn, *args, **kwargs)
        given.apply_defaults()
        is_new = given.arguments.get("start_method") == "spawn"
        return plain(replaced_by(fn) if is_new else fn, *args, **kwargs)

    for owner in (module, torch.multiprocessing):
        owner.start_processes = start_processes


def parallel_of(modules: Sequence[torch.nn.Module]) -> list[DistributedDataParallel]:
    """Those among `modules` and their parts whose gradients are a mean over processes."""
    return [m for root in modules for m in root.modules() if isinstance(m, DistributedDataParallel)]


def with_parallel(modules: Sequence[torch.nn.Module]) -> list[torch.nn.Module]:
    """`modules`, each as the `DistributedDataParallel` that was put around it later.

    A program may make its optimizer before, as the trainer of Hugging Face does.
    """
    if not are_several():
        return list(modules)
    around = {id(each.module): each for each in living(DistributedDataParallel)}
    return [around.get(id(module), module) for module in modules]


def num_processes(modules: Sequence[torch.nn.Module]) -> int:
    """Over how many processes `DistributedDataParallel` makes the gradients of `modules` a mean."""
    found = parallel_of(modules)
    return private.world_size(found[0]) if found else 1


def are_several() -> bool:
    """Whether the program is one of several processes."""
    distributed = torch.distributed
    is_begun = distributed.is_available() and distributed.is_initialized()
    return bool(is_begun and distributed.get_world_size() > 1)


@contextlib.contextmanager
def apart(modules: Sequence[torch.nn.Module]) -> Iterator[LeftOut]:
    """Inside the block, gradients are those of this process, and none is waited for."""
    with contextlib.ExitStack() as stack:
        for module in parallel_of(modules):
            stack.enter_context(module.no_sync())
            stack.enter_context(private.without_sent_buffers(module))
        yield stack.enter_context(without_collectives()) if are_several() else LeftOut()


@contextlib.contextmanager
def ending_together(num: int) -> Iterator[None]:
    """The block is left when it is over in each of `num` processes that has entered it."""
    if num == 1:
        yield
        return
    store, rank = private.store_of_processes(), torch.distributed.get_rank()
    others = [other for other in range(num) if other != rank]
    store.set(_KEY.format("began", rank), "1")
    entered = time.monotonic()
    try:
        yield
    finally:
        left = time.monotonic()
        # A process that has ended may have taken the store with it.
        with contextlib.suppress(RuntimeError):
            store.set(_KEY.format("ended", rank), "1")
            while time.monotonic() < left + SECONDS_TO_END:
                began = [n for n in others if has_begun(store, n)]
                ended = [n for n in began if store.check([_KEY.format("ended", n)])]
                is_late = time.monotonic() > entered + SECONDS_TO_BEGIN
                if len(ended) == len(began) and (is_late or len(began) == len(others)):
                    break
                time.sleep(SECONDS_BETWEEN)


def has_begun(store: Any, rank: int) -> bool:
    """Whether the process of a rank has entered the block of `ending_together`."""
    return bool(store.check([_KEY.format("began", rank)]))
