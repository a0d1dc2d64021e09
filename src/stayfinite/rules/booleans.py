"""Names of the operations whose results are true or false."""

from __future__ import annotations

COMPARISONS = {"equal", "greater", "greater_equal", "less", "less_equal", "not_equal"}
LOGICAL = {
    "and",
    "bitwise_and",
    "bitwise_not",
    "bitwise_or",
    "is_finite",
    "is_nan",
    "isfinite",
    "isnan",
    "logical_and",
    "logical_not",
    "logical_or",
    "not",
    "or",
}
