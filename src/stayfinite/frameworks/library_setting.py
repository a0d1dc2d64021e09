"""Settings of the objects of a library that take part in a step: its trainer, models, modules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

SettingValue = int | float | str | None


@dataclass(frozen=True)
class LibrarySetting:
    """A value that an object of a library holds, and that its code reads in each step.

    Attributes:
        kind: "trainer" for an argument of the trainer, "attention" for the implementation of the
            attention of a model, "config" for a value of the config of a model, "module" for an
            attribute of modules, "loss" for an argument of the function that computes the loss.
        owner: The class of the arguments, of the model or of its config, the path of the first
            module, or the name of the function.
        name: The name of the argument, of the key in the config, or of the attribute.
        attribute: The name under which the object holds it.
        value: Its value; modules with another value are another setting.
        default: The default of an argument of a trainer; None where it has none.
    """

    kind: Literal["trainer", "attention", "config", "module", "loss"]
    owner: str
    name: str
    attribute: str
    value: SettingValue
    default: SettingValue = None
