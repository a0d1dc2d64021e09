"""Steps that end in a PyTorch error because an operator rejects a non-finite operand.

`binary_cross_entropy`, `multinomial` and `cholesky` check their operands and raise on a NaN, so the
step has no loss to check. Such a step is a bad step.
"""

from __future__ import annotations

import dis
from collections.abc import Callable
from typing import Any

import torch

from stayfinite.frameworks.torch import finite_checks, private

_RAISES = (dis.opmap["RAISE_VARARGS"], dis.opmap["RERAISE"])


class RefusalWatch(private.TorchDispatchMode):
    """Notes in `refused` whether the operator that raised inside it had a non-finite operand."""

    def __init__(self) -> None:
        super().__init__()
        self.refused = False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        try:
            return func(*args, **kwargs)
        except Exception:
            self.refused = refused(args, kwargs)
            raise


def is_from_operator(error: Exception) -> bool:
    """Whether `error` may come from an operator: it began in compiled code, not at a `raise`."""
    innermost = error.__traceback__
    if not isinstance(error, RuntimeError) or innermost is None:
        return False
    while innermost.tb_next is not None:
        innermost = innermost.tb_next
    return innermost.tb_frame.f_code.co_code[innermost.tb_lasti] not in _RAISES


def refused(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether one of the operands of an operator that raised is a tensor that is not finite."""
    tensors = [a for a in (*args, *kwargs.values()) if isinstance(a, torch.Tensor)]
    return not finite_checks.all_finite(finite_checks.floating(tensors))


def raises_on_bad_numbers(run: Callable[[], Any]) -> bool:
    """Whether `run`, run once more, raises in an operator that was given a non-finite number."""
    watch = RefusalWatch()
    try:
        with watch:
            run()
    except Exception:
        return watch.refused
    return False
