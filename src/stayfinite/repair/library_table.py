"""The table of library functions: module by module, which operation each function computes.

A row is `operation` or `operation=name`, then the parameters in order where they are not the usual
ones of that kind. A parameter is `keyword`, `keyword:role` or `keyword:role?default`. Operations
are those of `formula`; `libraries` reads the table.
"""

from __future__ import annotations

# What else callers write for a parameter: NumPy's words are taken by PyTorch, older ones by most.
SYNONYMS = {
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
USUAL = {
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
    "i0=bessel_i0 i0e=bessel_i0e i1=bessel_i1 i1e=bessel_i1e "
    "abs ceil cos cosh erf erfc erfinv exp expm1 floor log log1p log_sigmoid logical_not negative"
    " reciprocal round rsqrt sigmoid sign sin sinh softplus sqrt square tan tanh digamma lgamma"
    " arccos=acos arccosh=acosh arcsin=asin arcsinh=asinh arctan=atan arctanh=atanh"
    " add divide equal greater greater_equal less less_equal logical_and logical_or maximum"
    " minimum multiply not_equal power=pow subtract floor_divide=floordiv mod=floormod mod xlogy"
    " sum=reduce_sum mean=reduce_mean max=reduce_max min=reduce_min prod=reduce_prod"
    " all=reduce_all any=reduce_any logsumexp=reduce_logsumexp"
)

# Plain rows: operations with the usual parameters of their kind.
PLAIN: dict[str, str] = {
    "keras.ops": f"{_NUMPY_UNARY} {_NUMPY_BINARY} {_NUMPY_REDUCTIONS} erf erfc erfinv log_sigmoid"
    " relu rsqrt sigmoid silu softplus logsumexp",
    "keras.backend": "abs exp log sigmoid softplus sqrt square tanh sign round cos sin relu"
    " equal greater greater_equal less less_equal maximum minimum not_equal"
    " all any max mean min prod sum logsumexp",
    "jax.numpy": f"{_NUMPY_UNARY} {_NUMPY_BINARY} {_NUMPY_REDUCTIONS}",
    "jax.nn": "relu sigmoid softplus silu silu=swish log_sigmoid logsumexp tanh",
    "jax.lax": "rsqrt exp log log1p expm1 sqrt tanh erf erfc lgamma digamma"
    " sigmoid=logistic add divide=div multiply=mul subtract=sub maximum=max minimum=min power=pow"
    " abs negative=neg sign floor ceil square reciprocal",
    "jax.scipy.special": "erf erfc erfinv sigmoid=expit lgamma=gammaln digamma gamma log_ndtr"
    " i0 i0e i1 i1e"
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
    " i0 tan tanh abs=absolute negative arccos arccosh arcsin arcsinh arctan arctanh arccos=acos"
    " arccosh=acosh arcsin=asin arcsinh=asinh arctan=atan arctanh=atanh"
    " add multiply=mul subtract=sub divide=div multiply subtract divide"
    " divide=true_divide"
    " equal=eq not_equal=ne less=lt less_equal=le greater=gt greater_equal=ge maximum minimum"
    " logical_and logical_or hypot logaddexp xlogy floor_divide mod=remainder arctan2 arctan2=atan2"
    " sum mean prod max=amax min=amin all any logsumexp",
    "torch.special": "i0 i0e i1 i1e erf erfc erfinv exp2 expm1 log1p log_ndtr digamma sigmoid=expit"
    " lgamma=gammaln xlogy logsumexp",
    "torch.nn.functional": "log_sigmoid=logsigmoid relu silu sigmoid tanh",
}

# Rows with parameters of their own.
SPECIAL: dict[str, str] = {
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
        cumprod x axis?None
        cumsum x axis?None
        flip x axis?None
        roll x shift axis?None
        diagonal x offset:ignored?None axis1:ignored2?None axis2:ignored3?None
        diagonal = diag x k:ignored?None
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
        cumprod x axis?0
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
        cumprod a:x axis?None
        cumsum a:x axis?None
        flip m:x axis?None
        roll a:x shift axis?None
        diagonal a:x offset:ignored?None axis1:ignored2?None axis2:ignored3?None
        diagonal = diag v:x k:ignored?None
        cast = astype x dtype
        ones_like a:x
        zeros_like a:x
        swapaxes a:x axis1 axis2
        identity = asarray a:x
        cbrt x
        sinc x
        """,
    "jax.numpy.linalg": "norm x ord?None axis?None keepdims?False",
    "jax.nn": """
        softmax x axis?-1
        log_softmax x axis?-1
        """,
    "jax.lax": """
        stop_gradient x
        logcumsumexp = cumlogsumexp operand:x axis?0 reverse:ignored?None
        where = select pred:condition on_true:x on_false:y
        """,
    "jax.scipy.special": """
        logit x
        entr x
        ndtr x
        betaln a:x b:y
        softmax x axis?None
        log_softmax x axis?None
        """,
    "jax.scipy.stats.norm": """
        normal_cdf = cdf x loc?0 scale?1
        normal_survival = sf x loc?0 scale?1
        normal_log_cdf = logcdf x loc?0 scale?1
        normal_log_survival = logsf x loc?0 scale?1
        normal_density = pdf x loc?0 scale?1
        normal_log_density = logpdf x loc?0 scale?1
        """,
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
        cumprod x axis?0
        cumsum x axis?0
        flip = reverse tensor:x axis
        roll input:x shift axis
        cast x dtype
        ones_like input:x
        zeros_like input:x
        identity input:x
        identity = convert_to_tensor value:x
        """,
    "tensorflow.math": """
        cumprod x axis?0
        cumsum x axis?0
        logcumsumexp = cumulative_logsumexp x axis?0
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
        diagonal = diag_part input:x
        norm tensor:x ord?euclidean axis?None keepdims?False
        normalize = l2_normalize x axis?None epsilon?1e-12
        """,
    "torch": """
        power = pow input:x exponent:y
        clip = clamp input:x min:minimum?None max:maximum?None
        clip input:x min:minimum?None max:maximum?None
        minimum = clamp_max input:x max:y
        maximum = clamp_min input:x min:y
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
        cumprod input:x dim:axis
        cumsum input:x dim:axis
        logcumsumexp input:x dim:axis
        flip input:x dims:axis
        roll input:x shifts:shift dims:axis?None
        diagonal input:x offset:ignored?None dim1:ignored2?None dim2:ignored3?None
        diagonal = diag input:x diagonal:ignored?None
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
        entr input:x
        ndtr input:x
        sinc input:x
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
MODULES = {
    "keras.backend": ("keras.backend", "keras._legacy.backend", "tf_keras.backend"),
    "tensorflow": ("tensorflow",),
}

# Methods without a function of the same name. `*` takes all positional arguments.
METHODS = """
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
