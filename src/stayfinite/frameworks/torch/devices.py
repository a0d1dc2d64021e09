"""The devices of PyTorch, in words."""

from __future__ import annotations

import torch


def device() -> str:
    """The CUDA device in use, or the CPU."""
    if torch.cuda.is_available():
        return f"cuda: {torch.cuda.get_device_name()}"
    return "cpu: cpu"


def other_devices() -> list[str]:
    """Another CUDA device, and the CPU beside one."""
    if not torch.cuda.is_available():
        return []
    used = torch.cuda.current_device()
    others = [n for n in range(torch.cuda.device_count()) if n != used]
    return [*(f"cuda:{n}" for n in others[:1]), "cpu"]
