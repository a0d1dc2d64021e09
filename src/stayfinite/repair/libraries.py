"""The functions of the numerical libraries: which operation each computes, and its parameters.

One table serves both directions. Reading: a live function object -> `Function`. Writing: an
operation -> its name in a library. Operations are those of `formula`.

A row is `operation` or `operation=name`, then the parameters in order where they are not the usual
ones of that kind. A parameter is `keyword`, `keyword:role` or `keyword:role?default`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType

from stayfinite.repair.formula import BINARY, REDUCTIONS, UNARY

Default = int | float | bool | str | None
_REQUIRED = "required"


@dataclass(frozen=True)
class Parameter:
    """One parameter: its keyword in the library, and the role of the argument for us."""

    keyword: str
    role: str
    default: Default = _REQUIRED

    @property
    def is_required(self) -> bool:
        """Whether every call passes it."""
        return self.default == _REQUIRED


@dataclass(frozen=True)
class Function:
    """A function `name` of the module `home`, which computes `op`."""

    home: str
    name: str
    op: str
    parameters: tuple[Parameter, ...]

    def bind(self, positional: list[object], named: Mapping[str, object]) -> dict[str, object]:
        """The arguments of a call by role, defaults filled in.

        Raises:
            TypeError: an argument has no parameter here, or a required one is missing.
        """
        if len(positional) > len(self.parameters):
            raise TypeError(f"{self.name} takes {len(self.parameters)} arguments")
        found = {p.role: value for p, value in zip(self.parameters, positional, strict=False)}
        for keyword, value in named.items():
            if keyword == "name":
                continue
            role = self._role(keyword, found)
            if role is None:
                raise TypeError(f"{self.name} has no parameter {keyword}")
            found[role] = value
        for parameter in self.parameters:
            if parameter.role not in found:
                if parameter.is_required:
                    raise TypeError(f"{self.name} needs {parameter.keyword}")
                found[parameter.role] = parameter.default
        return found

    def keyword(self, role: str) -> str | None:
        """What the library calls the argument `role`."""
        return next((p.keyword for p in self.parameters if p.role == role), None)

    def _role(self, keyword: str, found: Mapping[str, object]) -> str | None:
        for parameter in self.parameters:
            if parameter.keyword == keyword and parameter.role not in found:
                return parameter.role
        # NumPy's words are taken by PyTorch, and older words by most.
        role = _SYNONYMS.get(keyword)
        free = role is not None and role not in found
        return role if free and any(p.role == role for p in self.parameters) else None


_SYNONYMS = {
    "a": "x",
    "input": "x",
    "input_tensor": "x",
    "axis": "axis",
    "axes": "axes",
    "dim": "axis",
    "keepdims": "keepdims",
    "keepdim": "keepdims",
    "other": "y",
    "exponent": "y",
    "min": "minimum",
    "max": "maximum",
    "a_min": "minimum",
    "a_max": "maximum",
}

# The usual parameters of each library: one operand, two operands, a reduction.
_USUAL = {
    "keras": ("x", "x1:x x2:y", "x axis?None keepdims?False"),
    "jax": ("x", "x y", "a:x axis?None keepdims?False"),
    "tensorflow": ("x", "x y", "input_tensor:x axis?None keepdims?False"),
    "torch": ("input:x", "input:x other:y", "input:x dim:axis?None keepdim:keepdims?False"),
}

_NUMPY_UNARY = (
    "abs arccos arccosh arcsin arcsinh arctan arctanh ceil cos cosh exp exp2 expm1 floor log"
    " log10 log1p log2 logical_not negative reciprocal round sign sin sinh sqrt square tan tanh"
    " abs=absolute"
)
_NUMPY_BINARY = (
    "add arctan2 divide equal floor_divide greater greater_equal hypot less less_equal logaddexp"
    " logical_and logical_or maximum minimum mod multiply not_equal power subtract"
    " divide=true_divide"
)
_NUMPY_REDUCTIONS = "all any max mean min prod sum max=amax min=amin"
_TENSORFLOW_MATH = (
    "abs ceil cos cosh erf erfc erfinv exp expm1 floor log log1p log_sigmoid logical_not negative"
    " reciprocal round rsqrt sigmoid sign sin sinh softplus sqrt square tan tanh digamma lgamma"
    " arccos=acos arccosh=acosh arcsin=asin arcsinh=asinh arctan=atan arctanh=atanh"
    " add divide equal greater greater_equal less less_equal logical_and logical_or maximum"
    " minimum multiply not_equal power=pow subtract floor_divide=floordiv mod=floormod mod xlogy"
    " sum=reduce_sum mean=reduce_mean max=reduce_max min=reduce_min prod=reduce_prod"
    " all=reduce_all any=reduce_any logsumexp=reduce_logsumexp"
)

# Plain rows: operations with the usual parameters of their kind.
_PLAIN: dict[str, str] = {
    "keras.ops": f"{_NUMPY_UNARY} {_NUMPY_BINARY} {_NUMPY_REDUCTIONS} erf erfc erfinv log_sigmoid"
    " relu rsqrt sigmoid silu softplus logsumexp",
    "keras.backend": "abs exp log sigmoid softplus sqrt square tanh sign round cos sin relu"
    " equal greater greater_equal less less_equal maximum minimum not_equal"
    " all any max mean min prod sum logsumexp",
    "jax.numpy": f"{_NUMPY_UNARY} {_NUMPY_BINARY} {_NUMPY_REDUCTIONS}",
    "jax.nn": "relu sigmoid softplus silu silu=swish log_sigmoid logsumexp",
    "jax.lax": "rsqrt exp log log1p expm1 sqrt tanh erf erfc lgamma digamma"
    " sigmoid=logistic add divide=div multiply=mul subtract=sub maximum=max minimum=min power=pow"
    " abs negative=neg sign floor ceil square reciprocal",
    "jax.scipy.special": "erf erfc erfinv sigmoid=expit lgamma=gammaln digamma gamma log_ndtr"
    " xlogy logsumexp",
    "tensorflow": "abs exp sqrt square sigmoid tanh sin cos tan sinh cosh round sign floor negative"
    " logical_not arccos=acos arccosh=acosh arcsin=asin arcsinh=asinh arctan=atan arctanh=atanh"
    " add divide equal greater greater_equal less less_equal logical_and logical_or maximum minimum"
    " multiply not_equal power=pow subtract sum=reduce_sum mean=reduce_mean max=reduce_max"
    " min=reduce_min prod=reduce_prod all=reduce_all any=reduce_any logsumexp=reduce_logsumexp",
    "tensorflow.math": _TENSORFLOW_MATH,
    "tensorflow.nn": "softplus",
    "torch": "abs ceil cos cosh digamma erf erfc erfinv exp exp2 expm1 floor lgamma log log10 log1p"
    " log2 logical_not negative=neg reciprocal relu round rsqrt sigmoid sign sin sinh sqrt square"
    " tan tanh abs=absolute negative arccos arccosh arcsin arcsinh arctan arctanh arccos=acos"
    " arccosh=acosh arcsin=asin arcsinh=asinh arctan=atan arctanh=atanh"
    " add multiply=mul subtract=sub divide=div multiply subtract divide"
    " divide=true_divide"
    " equal=eq not_equal=ne less=lt less_equal=le greater=gt greater_equal=ge maximum minimum"
    " logical_and logical_or hypot logaddexp xlogy floor_divide mod=remainder arctan2 arctan2=atan2"
    " sum mean prod max=amax min=amin all any logsumexp",
    "torch.special": "erf erfc erfinv exp2 expm1 log1p log_ndtr digamma sigmoid=expit"
    " lgamma=gammaln xlogy logsumexp",
    "torch.nn.functional": "log_sigmoid=logsigmoid relu silu sigmoid tanh",
}

# Rows with parameters of their own.
_SPECIAL: dict[str, str] = {
    "keras.ops": """
        stop_gradient = stop_gradient variable:x
        clip x x_min:minimum x_max:maximum
        where condition x1:x x2:y
        softmax x axis?-1
        log_softmax x axis?-1
        norm x ord?None axis?None keepdims?False
        var x axis?None keepdims?False
        std x axis?None keepdims?False
        expand_dims x axis
        squeeze x axis?None
        reshape x newshape:shape
        broadcast_to x shape
        transpose x axes?None
        take_along_axis x indices axis?-1
        stack x:xs axis?0
        concatenate xs axis?-1
        cumsum x axis?None
        cast x dtype
        ones_like x
        zeros_like x
        divide_no_nan x1:x x2:y
        swapaxes x axis1 axis2
        identity = convert_to_tensor x
        """,
    "keras.backend": """
        stop_gradient variables:x
        power = pow x a:y
        clip x min_value:minimum max_value:maximum
        where = switch condition then_expression:x else_expression:y
        softmax x axis?-1
        var x axis?None keepdims?False
        std x axis?None keepdims?False
        expand_dims x axis?-1
        squeeze x axis
        reshape x shape
        stack x:xs axis?0
        concatenate tensors:xs axis?-1
        cumsum x axis?0
        cast x dtype
        ones_like x
        zeros_like x
        normalize = l2_normalize x axis?None
        """,
    "keras.activations": """
        log_softmax x axis?-1
        relu x
        sigmoid x
        softmax x axis?-1
        softplus x
        tanh x
        """,
    "jax.numpy": """
        clip a:x min:minimum?None max:maximum?None
        where condition x y
        var a:x axis?None dtype:ignored?None out:ignored2?None ddof?0 keepdims?False
        std a:x axis?None dtype:ignored?None out:ignored2?None ddof?0 keepdims?False
        expand_dims a:x axis
        squeeze a:x axis?None
        reshape a:x shape
        broadcast_to array:x shape
        transpose a:x axes?None
        take_along_axis arr:x indices axis?-1
        stack arrays:xs axis?0
        concatenate arrays:xs axis?0
        cumsum a:x axis?None
        cast = astype x dtype
        ones_like a:x
        zeros_like a:x
        swapaxes a:x axis1 axis2
        identity = asarray a:x
        """,
    "jax.numpy.linalg": "norm x ord?None axis?None keepdims?False",
    "jax.nn": """
        softmax x axis?-1
        log_softmax x axis?-1
        """,
    "jax.lax": """
        stop_gradient x
        where = select pred:condition on_true:x on_false:y
        """,
    "jax.scipy.special": "logit x",
    "tensorflow": """
        stop_gradient input:x
        clip = clip_by_value t:x clip_value_min:minimum clip_value_max:maximum
        where condition x y
        norm tensor:x ord?euclidean axis?None keepdims?False
        expand_dims input:x axis
        squeeze input:x axis?None
        reshape tensor:x shape
        broadcast_to input:x shape
        transpose a:x perm:axes?None
        stack values:xs axis?0
        concatenate = concat values:xs axis
        cumsum x axis?0
        cast x dtype
        ones_like input:x
        zeros_like input:x
        identity input:x
        identity = convert_to_tensor value:x
        """,
    "tensorflow.math": """
        cumsum x axis?0
        var = reduce_variance input_tensor:x axis?None keepdims?False
        std = reduce_std input_tensor:x axis?None keepdims?False
        norm = reduce_euclidean_norm input_tensor:x axis?None keepdims?False ord?None
        normalize = l2_normalize x axis?None epsilon?1e-12
        divide_no_nan x y
        squared_difference x y
        """,
    "tensorflow.nn": """
        relu features:x
        silu features:x
        softmax logits:x axis?-1
        log_softmax logits:x axis?-1
        normalize = l2_normalize x axis?None epsilon?1e-12
        """,
    "tensorflow.linalg": """
        norm tensor:x ord?euclidean axis?None keepdims?False
        normalize = l2_normalize x axis?None epsilon?1e-12
        """,
    "torch": """
        power = pow input:x exponent:y
        clip = clamp input:x min:minimum?None max:maximum?None
        clip input:x min:minimum?None max:maximum?None
        where condition input:x other:y
        softmax input:x dim:axis
        log_softmax input:x dim:axis
        norm input:x p:ord?2 dim:axis?None keepdim:keepdims?False
        var input:x dim:axis?None unbiased?True keepdim:keepdims?False correction?None
        std input:x dim:axis?None unbiased?True keepdim:keepdims?False correction?None
        expand_dims = unsqueeze input:x dim:axis
        squeeze input:x dim:axis?None
        reshape input:x shape
        broadcast_to input:x size:shape
        transpose = permute input:x dims:axes
        swapaxes = transpose input:x dim0:axis1 dim1:axis2
        take_along_axis = gather input:x dim:axis index:indices
        take_along_axis = take_along_dim input:x indices dim:axis
        stack tensors:xs dim:axis?0
        concatenate = cat tensors:xs dim:axis?0
        concatenate = concat tensors:xs dim:axis?0
        cumsum input:x dim:axis
        ones_like input:x
        zeros_like input:x
        max input:x dim:axis?None keepdim:keepdims?False
        min input:x dim:axis?None keepdim:keepdims?False
        logit input:x
        """,
    "torch.linalg": """
        norm = vector_norm x ord?2 dim:axis?None keepdim:keepdims?False
        norm = norm A:x ord?None dim:axis?None keepdim:keepdims?False
        """,
    "torch.special": """
        logit input:x
        softmax input:x dim:axis
        log_softmax input:x dim:axis
        """,
    "torch.nn.functional": """
        softplus input:x beta?1 threshold?20
        softmax input:x dim:axis
        log_softmax input:x dim:axis
        normalize input:x p:ord?2.0 dim:axis?1 eps:epsilon?1e-12
        """,
}

# The modules that a home is loaded as.
_MODULES = {
    "keras.backend": ("keras.backend", "keras._legacy.backend", "tf_keras.backend"),
    "tensorflow": ("tensorflow",),
}

# Methods that no function of the same name explains. `*` takes all positional arguments.
_METHODS = """
    stop_gradient = detach
    cast = astype dtype
    cast = to dtype
    cast = type dtype
    reshape = view *shape
    reshape = reshape *shape
    transpose = permute *axes
    transpose = transpose *axes
    broadcast_to = expand *shape
    broadcast_to = broadcast_to *shape
    identity = clone
    identity = contiguous
    float32 = float
    float64 = double
    float16 = half
    bfloat16 = bfloat16
    """


class Libraries:
    """The table, parsed once."""

    def __init__(self) -> None:
        self._num_modules = 0

    @cached_property
    def functions(self) -> tuple[Function, ...]:
        """Every row."""
        return tuple(
            function for home in dict.fromkeys((*_PLAIN, *_SPECIAL)) for function in _rows(home)
        )

    @cached_property
    def spellings(self) -> dict[str, dict[str, str]]:
        """home -> operation -> the first name listed for it."""
        found: dict[str, dict[str, str]] = {}
        for function in self.functions:
            found.setdefault(function.home, {}).setdefault(function.op, function.name)
        return found

    def named(self, home: str, name: str) -> Function | None:
        """The row of a function."""
        return self._by_name.get((home, name))

    def method(self, name: str, family: str) -> Function | None:
        """The method `name` of a tensor, its receiver left out of the parameters."""
        row = self._methods.get(name)
        if row is not None and not (name == "transpose" and family == "torch"):
            return row
        homes = {"torch": ("torch", "torch.special"), "jax": ("jax.numpy",)}
        for home in homes.get(family, ("torch", "jax.numpy")):
            function = self.named(home, name)
            if function is not None and function.parameters[0].role == "x":
                return Function(home, name, function.op, function.parameters[1:])
        return None

    def of(self, called: object) -> Function | None:
        """The row of a live function."""
        if len(sys.modules) != self._num_modules:
            self._num_modules = len(sys.modules)
            self._look()
        found = self._live.get(id(called))
        return found[1] if found is not None and found[0] is called else None

    @cached_property
    def _by_name(self) -> dict[tuple[str, str], Function]:
        found: dict[tuple[str, str], Function] = {}
        for function in self.functions:
            found[function.home, function.name] = function
        return found

    @cached_property
    def _methods(self) -> dict[str, Function]:
        found = {}
        for line in filter(None, map(str.strip, _METHODS.splitlines())):
            op, _, rest = line.partition(" = ")
            name, *parameters = rest.split()
            found[name] = Function("", name, op, tuple(map(_parameter, parameters)))
        return found

    @cached_property
    def _live(self) -> dict[int, tuple[object, Function]]:
        return {}

    def _look(self) -> None:
        """Find the functions of the libraries that are loaded by now."""
        for function in self.functions:
            for path in _MODULES.get(function.home, (function.home,)):
                thing = getattr(_module(path), function.name, None)
                if thing is not None and id(thing) not in self._live:
                    self._live[id(thing)] = thing, function


LIBRARIES = Libraries()


def _module(path: str) -> ModuleType | None:
    """A module among those loaded, also one that its parent holds without its name."""
    found = sys.modules.get(path)
    if found is None and "." in path:
        parent, _, name = path.rpartition(".")
        below = getattr(_module(parent), name, None)
        found = below if isinstance(below, ModuleType) else None
    return found


def _rows(home: str) -> Iterator[Function]:
    family = home.partition(".")[0]
    one, two, many = _USUAL[family]
    for item in _PLAIN.get(home, "").split():
        op, _, name = item.partition("=")
        usual = one if op in UNARY else two if op in BINARY else many
        if not (op in UNARY or op in BINARY or op in REDUCTIONS):
            raise ValueError(f"{home}: {op} has no usual parameters")
        yield Function(home, name or op, op, tuple(map(_parameter, usual.split())))
    for line in filter(None, map(str.strip, _SPECIAL.get(home, "").splitlines())):
        op, *rest = line.split()
        name = op
        if rest and rest[0] == "=":
            name, rest = rest[1], rest[2:]
        yield Function(home, name, op, tuple(map(_parameter, rest)))


def _parameter(text: str) -> Parameter:
    names, has_default, default = text.partition("?")
    keyword, _, role = names.partition(":")
    return Parameter(keyword, role or keyword, _value(default) if has_default else _REQUIRED)


def _value(text: str) -> Default:
    words: dict[str, Default] = {"None": None, "True": True, "False": False}
    if text in words:
        return words[text]
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return text
