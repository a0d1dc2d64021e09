"""What a non-finite value is."""

from typing import Literal

Kind = Literal["nan", "inf", "-inf"]
