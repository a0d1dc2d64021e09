"""The devices of JAX that a step can be run on, by name, and a program for one of them."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax

from stayfinite.frameworks.jax.capture_program import JaxProgram


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


def program_on(program: JaxProgram, device: Any) -> JaxProgram:
    """The program with `device` in the place of the single devices that its equations name.

    Keras 3.8 pins the new state to the device of the old one.
    """
    there = jax.sharding.SingleDeviceSharding(device)

    def moved(param: Any) -> Any:
        if isinstance(param, jax.sharding.SingleDeviceSharding):
            return there
        if isinstance(param, jax.Device):
            return device
        if type(param) in (list, tuple):
            return type(param)(moved(each) for each in param)
        return param

    equations = [
        dataclasses.replace(equation, params={n: moved(p) for n, p in equation.params.items()})
        for equation in program.equations
    ]
    return dataclasses.replace(program, equations=equations)
