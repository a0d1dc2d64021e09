"""The devices of JAX that a step can be run on, by name."""

from __future__ import annotations

from typing import Any

import jax


def others() -> list[Any]:
    """The second device of the platform in use, and the CPU beside another platform."""
    devices = jax.devices()
    found: list[Any] = devices[1:2]
    if devices[0].platform != "cpu":
        found += jax.devices("cpu")[:1]
    return found


def name_of(device: Any) -> str:
    """As `cpu:1`."""
    return f"{device.platform}:{device.id}"


def named(name: str) -> Any:
    """The device that `name_of` names."""
    platform, _, number = name.partition(":")
    return next(device for device in jax.devices(platform) if device.id == int(number))
