"""Records as JSON, which has no literal for a number that is not finite."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

# A non-finite number is written as one of these strings.
if TYPE_CHECKING:
    Number = float
else:
    Number = float | Literal["nan", "inf", "-inf"]


class _Record(Protocol):
    """Any dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


def to_json(record: _Record) -> dict[str, Any]:
    """A dataclass as JSON values: no NaN literals, tuples as lists."""
    encoded: dict[str, Any] = _encode(dataclasses.asdict(record))
    return encoded


def parse_numbers(owner: object, *names: str) -> None:
    """Replace the strings that stand for non-finite numbers in JSON."""
    for name in names:
        value = getattr(owner, name)
        if isinstance(value, str):
            object.__setattr__(owner, name, float(value))


def _encode(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    if isinstance(value, dict):
        return {key: _encode(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_encode(item) for item in value]
    return value
