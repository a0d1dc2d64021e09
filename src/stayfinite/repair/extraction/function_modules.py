"""Modules of PyTorch that are nothing but one function, such as `nn.Sigmoid()`."""

from __future__ import annotations

# The operation of each class, and the attributes of the module that are its options.
_FUNCTIONS: dict[str, tuple[str, dict[str, str]]] = {
    "LogSigmoid": ("log_sigmoid", {}),
    "LogSoftmax": ("log_softmax", {"axis": "dim"}),
    "ReLU": ("relu", {}),
    "SiLU": ("silu", {}),
    "Sigmoid": ("sigmoid", {}),
    "Softmax": ("softmax", {"axis": "dim"}),
    "Softplus": ("softplus", {"beta": "beta"}),
    "Tanh": ("tanh", {}),
}


def function_of_module(module: object) -> tuple[str, dict[str, object]] | None:
    """The operation that a call of a module is, with its options; None for any other object.

    A module with hooks may do more.
    """
    kind = type(module)
    found = _FUNCTIONS.get(kind.__name__)
    if found is None or kind.__module__ != "torch.nn.modules.activation":
        return None
    attributes = vars(module)
    if any(held for name, held in attributes.items() if name.endswith("_hooks")):
        return None
    op, options = found
    values = {role: attributes.get(name) for role, name in options.items()}
    return None if None in values.values() else (op, values)
