"""The metrics of a compiled model, for an output that is the operand of its activation now."""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator

from stayfinite.repair.edit import Replacement, insert_imports
from stayfinite.repair.object_edits import prefix_of
from stayfinite.repair.rewrites.site import Facts, Site
from stayfinite.repair.source import SourceFile

# The argument from which on a metric counts an output as positive.
_THRESHOLDS = {
    "BinaryAccuracy": "threshold",
    "Precision": "thresholds",
    "Recall": "thresholds",
    "TruePositives": "thresholds",
    "TrueNegatives": "thresholds",
    "FalsePositives": "thresholds",
    "FalseNegatives": "thresholds",
}
_FROM_LOGITS = {
    "sigmoid": ("AUC", "BinaryCrossentropy"),
    "softmax": ("CategoricalCrossentropy", "SparseCategoricalCrossentropy"),
}
_CLASSES = {
    "acc": "BinaryAccuracy",
    "accuracy": "BinaryAccuracy",
    "auc": "AUC",
    "binary_accuracy": "BinaryAccuracy",
    "binary_crossentropy": "BinaryCrossentropy",
    "bce": "BinaryCrossentropy",
    "categorical_crossentropy": "CategoricalCrossentropy",
    "sparse_categorical_crossentropy": "SparseCategoricalCrossentropy",
}
# They compare outputs with each other, so a monotonic function of them changes nothing.
_ORDERS = frozenset(
    "CategoricalAccuracy SparseCategoricalAccuracy SparseTopKCategoricalAccuracy"
    " TopKCategoricalAccuracy categorical_accuracy sparse_categorical_accuracy"
    " sparse_top_k_categorical_accuracy top_k_categorical_accuracy".split()
)


def metric_edits(source: SourceFile, op: str, num_outputs: int) -> list[Replacement] | None:
    """Edits of the metrics in the calls of `compile`; None where one cannot be edited.

    Args:
        source: The file.
        op: The activation: sigmoid, softmax or tanh.
        num_outputs: The length of the last axis of the output.
    """
    found: list[Replacement] = []
    for metric in _metrics(source):
        if metric is None:
            return None
        name = _name(metric)
        if name in _ORDERS or (name in ("acc", "accuracy") and num_outputs > 1):
            continue
        kind = _CLASSES.get(name, name)
        if op == "sigmoid" and kind in _THRESHOLDS:
            value = _threshold(metric, _THRESHOLDS[kind])
            argument = None if value is None else f"{_THRESHOLDS[kind]}={value}"
        elif kind in _FROM_LOGITS.get(op, ()):
            argument = "from_logits=True"
        else:
            argument = None
        if argument is None:
            return None
        made = _with_argument(source, metric, kind, argument)
        if made is None:
            return None
        found += made
    return found


def _metrics(source: SourceFile) -> Iterator[ast.expr | None]:
    """Every metric in a call of `compile`; None for metrics that are not written out there."""
    for call in ast.walk(source.tree):
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
            continue
        if call.func.attr != "compile":
            continue
        for keyword in call.keywords:
            if keyword.arg in ("metrics", "weighted_metrics"):
                if isinstance(keyword.value, ast.List | ast.Tuple):
                    yield from keyword.value.elts
                else:
                    yield None


def _name(metric: ast.expr) -> str:
    if isinstance(metric, ast.Constant):
        return str(metric.value)
    function = metric.func if isinstance(metric, ast.Call) else metric
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _threshold(metric: ast.expr, argument: str) -> str | None:
    """The threshold of a probability as one of its logit; None where it is not a number."""
    if not isinstance(metric, ast.Call):
        return "0.0"
    if metric.args:
        return None
    given = next((k.value for k in metric.keywords if k.arg == argument), None)
    if given is None:
        return "0.0"
    value = given.value if isinstance(given, ast.Constant) else None
    if not isinstance(value, float) or not 0 < value < 1:
        return None
    return f"{math.log(value / (1 - value)):.6g}" if value != 0.5 else "0.0"


def _with_argument(
    source: SourceFile, metric: ast.expr, kind: str, argument: str
) -> list[Replacement] | None:
    if isinstance(metric, ast.Call):
        name = argument.partition("=")[0]
        given = next((k.value for k in metric.keywords if k.arg == name), None)
        if given is not None:
            return [Replacement(*source.range_of(given), argument.partition("=")[2])]
        text = source.text_of(metric)[:-1].rstrip()
        comma = "" if text.endswith(("(", ",")) else ", "
        end = source.range_of(metric)[0] + len(text)
        return [Replacement(end, end, f"{comma}{argument}")]
    if not isinstance(metric, ast.Constant):
        return None
    prefix = prefix_of(Site(source, metric, Facts()), "metrics")
    if prefix is None:
        return None
    # Keras names the metric as it was asked for.
    text = f'{prefix}.{kind}({argument}, name="{_name(metric)}")'
    pieces = [Replacement(*source.range_of(metric), text)]
    if prefix == "metrics":
        pieces += insert_imports(source, metric, ["from keras import metrics"])
    return pieces
