"""Names of the operations whose results are true or false."""

from __future__ import annotations

COMPARISONS = {"equal", "greater", "greater_equal", "less", "less_equal", "not_equal"}
FINITENESS = {"is_finite", "is_inf", "is_nan", "isfinite", "isinf", "isnan"}
LOGICAL = FINITENESS | {
    "and",
    "bitwise_and",
    "bitwise_not",
    "bitwise_or",
    "logical_and",
    "logical_not",
    "logical_or",
    "not",
    "or",
}
