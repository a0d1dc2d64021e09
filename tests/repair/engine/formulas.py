"""Textbook formulas as they are first written, with operands at which they fail in float32.

The first sample of each is legitimate and extreme, the others are ordinary. All of them have a form
with the exact value and gradient.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from stayfinite.repair.engine.problem import FormulaProblem
from tests.repair.engine.notation import Expr, along, call, one_leaf, reduce

(
    abs_,
    cos,
    cosh,
    erf,
    erfc,
    exp,
    expm1,
    lgamma,
    gamma,
    log,
    log1p,
    log10,
    sigmoid,
    sin,
    sinh,
    sqrt,
    square,
    tanh,
) = (
    partial(call, op)
    for op in "abs cos cosh erf erfc exp expm1 lgamma gamma log log1p log10 sigmoid sin sinh sqrt square tanh".split()
)
arccos, arctanh, maximum, softplus = (
    partial(call, op) for op in "arccos arctanh maximum softplus".split()
)
sum_, mean, prod, amax, var, std, norm = (
    partial(reduce, op) for op in "sum mean prod max var std norm".split()
)
softmax = partial(along, "softmax")

KERAS = frozenset(
    "exp log sqrt square abs sum mean max min prod maximum minimum where sigmoid log_sigmoid"
    " softplus softmax log_softmax logsumexp logaddexp expm1 log1p tanh sin cos tan sinh cosh"
    " arcsin arccos arctan arcsinh arccosh arctanh arctan2 erf lgamma digamma stop_gradient"
    " expand_dims squeeze reshape transpose broadcast_to stack concatenate sign relu rsqrt"
    " reciprocal clip take_along_axis cast zeros_like ones_like power cumsum equal".split()
)
SCIPY = KERAS | {"erfc", "log_ndtr", "hypot", "gamma"}


@dataclass(frozen=True, eq=False)
class Formula:
    """One entry; leaves are named after the parameters of `written`."""

    name: str
    written: Callable[..., Expr]
    operands: dict[str, object]
    library: frozenset[str] = KERAS
    framework: str = "jax"

    def problem(self) -> FormulaProblem:
        arrays = {k: np.asarray(v, np.float32) for k, v in self.operands.items()}
        leaves = {k: one_leaf(k, v) for k, v in arrays.items()}
        root = self.written(**leaves).root
        values = {leaves[k].root: v for k, v in arrays.items()}
        wanted = tuple(leaves[k].root for k in arrays if k[:2] not in ("n_", "m_"))
        return FormulaProblem(root, values, wanted, "float32", self.framework, self.library)


def rows(first, n=3, width=1.0, seed=0, positive=False):
    """`first` and `n` ordinary rows of its shape."""
    rng = np.random.default_rng(seed)
    first = np.asarray(first, np.float32)
    rest = rng.normal(size=(n, *first.shape)) * width
    rest = np.exp(0.5 * rest) if positive else rest
    return np.concatenate([first[None], rest]).astype(np.float32)


def onehot(*classes, n):
    return np.eye(n, dtype=np.float32)[list(classes)]


f = Formula
FORMULAS = [
    # Exponentials and ratios
    f("softmax by hand", lambda s: exp(s) / sum_(exp(s), keepdims=True), {"s": rows([101.0, 99, 3])}),
    f("two-way softmax", lambda a, b: exp(a) / (exp(a) + exp(b)), {"a": rows(100.0), "b": rows(85.0, seed=1)}),
    f("negative log of softmax", lambda s, m_y: -log(sum_(softmax(s) * m_y)), {"s": rows([140.0, 3, -2]), "m_y": onehot(1, 0, 2, 1, n=3)}),
    f("logsumexp", lambda s: log(sum_(exp(s))), {"s": rows([120.0, 3, -2])}),
    f("log-mean-exp", lambda s: log(mean(exp(s))), {"s": rows([-130.0, -128, -140])}),
    f("log of two exponentials", lambda a, b: log(exp(a) + exp(b)), {"a": rows(120.0), "b": rows(3.0, seed=1)}),
    f("soft minimum of three", lambda a, b, c: -log(exp(-a) + exp(-b) + exp(-c)), {"a": rows(120.0), "b": rows(130.0, seed=1), "c": rows(125.0, seed=2)}),
    f("soft maximum with temperature", lambda s: 0.05 * log(sum_(exp(s / 0.05))), {"s": rows([7.0, 6.5, 1])}),
    f("softplus", lambda x: log(1 + exp(x)), {"x": rows(110.0)}),
    f("log of softplus", lambda x: log(softplus(x)), {"x": rows(-120.0)}),
    f("gamma density of two softplus", lambda a, b, n_t: a * log(softplus(b)) - n_t * softplus(b), {"a": rows(2.0, positive=True), "b": rows(-120.0), "n_t": [0.4, 1, 2, 3]}),
    f("share of two softplus", lambda a, b: softplus(a) / (softplus(a) + softplus(b)), {"a": rows(-120.0), "b": rows(-121.0, seed=1)}),
    f("softplus with sharpness", lambda x, b: log(1 + exp(b * x)) / b, {"x": rows(30.0), "b": rows(5.0, positive=True)}),
    f("log of sigmoid", lambda x: log(sigmoid(x)), {"x": rows(-120.0)}),
    f("log of one minus sigmoid", lambda x: log(1 - sigmoid(x)), {"x": rows(40.0)}),
    f("binary cross entropy", lambda x, d_y: -(d_y * log(sigmoid(x)) + (1 - d_y) * log(1 - sigmoid(x))), {"x": rows(45.0), "d_y": [0.0, 1, 0, 1]}),
    f("focal loss", lambda x: -square(1 - sigmoid(x)) * log(sigmoid(x)), {"x": rows(-115.0)}),
    f("log odds of sigmoid", lambda x: log(sigmoid(x) / (1 - sigmoid(x))), {"x": rows(30.0)}),
    f("tanh by exponentials", lambda x: (exp(x) - exp(-x)) / (exp(x) + exp(-x)), {"x": rows(95.0)}),
    f("tanh by one exponential", lambda x: (exp(2 * x) - 1) / (exp(2 * x) + 1), {"x": rows(60.0)}),
    f("log cosh by hand", lambda x: log((exp(x) + exp(-x)) / 2), {"x": rows(-95.0)}),
    f("log of cosh", lambda x: log(cosh(x)), {"x": rows(93.0)}),
    f("sigmoid by exponential", lambda x: exp(x) / (1 + exp(x)), {"x": rows(95.0)}),
    f("logistic with slope", lambda x, k: 1 / (1 + exp(-k * x)), {"x": rows(-40.0), "k": rows(4.0, positive=True)}),
    f("swish by hand", lambda x: x / (1 + exp(-x)), {"x": rows(-100.0)}),
    f("weighted mean by exponentials", lambda s, v: sum_(v * exp(s)) / sum_(exp(s)), {"s": rows([100.0, 98, 3]), "v": rows([1.0, -2, 5], seed=2)}),
    f("InfoNCE", lambda s: -log(exp(s[:, 0] / 0.07) / sum_(exp(s / 0.07))), {"s": rows([8.0, 7.5, 3], width=0.3)}),
    f("importance weights", lambda a, b: exp(a - b) / sum_(exp(a - b), keepdims=True), {"a": rows([110.0, 100, 90]), "b": rows([1.0, 2, 3], seed=3)}),
    f("effective sample size", lambda w: square(sum_(exp(w))) / sum_(square(exp(w))), {"w": rows([60.0, 59, 50])}),
    f("KL of two softmaxes", lambda p, q: sum_(softmax(p) * log(softmax(p) / softmax(q))), {"p": rows([130.0, 3, 2]), "q": rows([120.0, 2, 4], seed=4)}),
    f("entropy of softmax", lambda s: -sum_(softmax(s) * log(softmax(s))), {"s": rows([120.0, 3, 1])}),
    f("Bradley-Terry", lambda a, b: log(exp(a) / (exp(a) + exp(b))), {"a": rows(10.0), "b": rows(130.0, seed=1)}),
    f("Gumbel hazard", lambda x, m: exp(-(x - m)) / (exp(exp(-(x - m))) - 1), {"x": rows(-6.0), "m": rows(0.5, seed=1)}),
    f("log of Gumbel density", lambda x, m: log(exp(-(x - m)) * exp(-exp(-(x - m)))), {"x": rows(-6.0), "m": rows(0.5, seed=1)}),
    f("log of logistic density", lambda x, m, s: log(exp(-(x - m) / s) / (s * square(1 + exp(-(x - m) / s)))), {"x": rows(-112.0), "m": rows(0.5, seed=1), "s": rows(1.1, positive=True)}),
    # Densities and likelihoods
    f("log of Gaussian density", lambda x, m, s: log(exp(-square(x - m) / (2 * square(s))) / (s * math.sqrt(2 * math.pi))), {"x": rows(18.0), "m": rows(0.5, seed=1), "s": rows(1.1, positive=True)}),
    f("Gaussian mixture", lambda w, x, m: -log(sum_(softmax(w) * exp(-0.5 * square(x - m)) / math.sqrt(2 * math.pi))), {"w": rows([0.5, 1, -1]), "x": rows([25.0]), "m": rows([1.0, 2, -1], seed=2)}),
    f("Laplace density", lambda x, m, s: log(exp(-abs_(x - m) / s) / (2 * s)), {"x": rows(120.0), "m": rows(0.5, seed=1), "s": rows(1.1, positive=True)}),
    f("Weibull log density", lambda t, k, c: log(k / c * (t / c) ** (k - 1) * exp(-((t / c) ** k))), {"t": rows(9.0, positive=True), "k": rows(2.5, positive=True), "c": rows(1.2, positive=True, seed=1)}),
    f("Weibull survival", lambda t, k, c: -log(exp(-((t / c) ** k))), {"t": rows(12.0, positive=True), "k": rows(2.5, positive=True), "c": rows(1.2, positive=True, seed=1)}),
    f("Gompertz survival", lambda t, a, b: log(exp(-a / b * (exp(b * t) - 1))), {"t": rows(6.0, positive=True), "a": rows(0.3, positive=True), "b": rows(1.1, positive=True, seed=1)}),
    f("Gompertz at rate 0", lambda t, a, b: a * (exp(b * t) - 1) / b, {"t": rows(6.0, positive=True), "a": rows(0.3, positive=True), "b": rows(0.0, seed=1)}),
    f("Rayleigh log density", lambda x, s: log(x / square(s) * exp(-square(x) / (2 * square(s)))), {"x": rows(16.0, positive=True), "s": rows(1.1, positive=True)}),
    f("binomial log likelihood", lambda n_k, n_n, z: log(sigmoid(z) ** n_k * (1 - sigmoid(z)) ** (n_n - n_k)), {"n_k": [3.0, 1, 2, 4], "n_n": [12.0, 5, 6, 7], "z": rows(25.0)}),
    f("Poisson log likelihood", lambda n_k, z: log(exp(z) ** n_k * exp(-exp(z))), {"n_k": [3.0, 1, 2, 0], "z": rows(4.8)}),
    f("negative binomial", lambda n_k, r, z: lgamma(n_k + r) - lgamma(r) + r * log(1 - sigmoid(z)) + n_k * log(sigmoid(z)), {"n_k": [3.0, 1, 2, 5], "r": rows(2.0, positive=True), "z": rows(35.0)}),
    f("beta function", lambda a, b: log(gamma(a) * gamma(b) / gamma(a + b)), {"a": rows(30.0, positive=True), "b": rows(12.0, positive=True, seed=1)}, SCIPY),
    f("Dirichlet likelihood", lambda a, d_x: log(gamma(sum_(a)) / prod(gamma(a)) * prod(d_x ** (a - 1))), {"a": rows([20.0, 18, 9], positive=True), "d_x": np.array([[0.5, 0.3, 0.2], [0.2, 0.3, 0.5], [0.6, 0.2, 0.2], [0.1, 0.5, 0.4]])}, SCIPY),
    f("gamma density", lambda x, a, b: log(b**a / gamma(a) * x ** (a - 1) * exp(-b * x)), {"x": rows(45.0, positive=True), "a": rows(3.0, positive=True), "b": rows(3.0, positive=True, seed=1)}, SCIPY),
    f("inverse gaussian", lambda x, m, k: log(sqrt(k / (2 * math.pi * x**3)) * exp(-k * square(x - m) / (2 * square(m) * x))), {"x": rows(250.0, positive=True), "m": rows(1.0, positive=True), "k": rows(1.4, positive=True, seed=1)}),
    f("von Mises", lambda x, m, k: log(exp(k * cos(x - m)) / (2 * math.pi)), {"x": rows(0.2), "m": rows(0.1, seed=1), "k": rows(95.0, positive=True)}),
    f("log of prod of hazards", lambda z, m_e: log(prod(1 - sigmoid(z)) * sum_(sigmoid(z) * m_e)), {"z": rows([30.0, 25, 3]), "m_e": onehot(1, 0, 2, 1, n=3)}),
    f("log of product of probabilities", lambda s: -log(prod(sigmoid(s))), {"s": rows([-50.0, -45, -3])}),
    f("sequence likelihood", lambda s, m_y: -log(prod(sum_(softmax(s) * m_y))), {"s": rows([[45.0, 0, 1], [-30, 2, 1], [9, 50, 1]]), "m_y": np.stack([onehot(1, 0, 2, n=3)] * 4)}),
    f("inverse survival of exponential", lambda u, t: -log(1 - exp(-u * t)), {"u": rows(1e-9, positive=True), "t": rows(0.7, positive=True)}),
    f("complementary log-log", lambda z: log(1 - exp(-exp(z))), {"z": rows(-18.0)}),
    f("inverse softplus", lambda y: log(exp(y) - 1), {"y": rows(100.0, positive=True)}),
    f("normal survival by the distribution function", lambda x: log(1 - 0.5 * erfc(-math.sqrt(0.5) * x)), {"x": rows(15.0)}, SCIPY),
    f("normal survival", lambda x: log(0.5 * erfc(x / math.sqrt(2))), {"x": rows(15.0)}, SCIPY),
    f("probit", lambda x: log(0.5 * (1 + erf(x / math.sqrt(2)))), {"x": rows(-14.0)}, SCIPY),
    f("squashed action", lambda u: log(1 - square(tanh(u))), {"u": rows(12.0)}),
    f("Tweedie-like power of exponential", lambda z, p: exp(z) ** (2 - p) / (2 - p), {"z": rows(100.0), "p": rows(1.5, width=0.1) * 0 + np.array([1.5, 1.3, 1.2, 1.7])}),
    f("Cox partial likelihood", lambda s, m_r: s[:, 0] - log(sum_(exp(s) * m_r)), {"s": rows([100.0, 95, 3]), "m_r": np.array([[1.0, 1, 0], [1, 1, 1], [1, 0, 1], [1, 1, 1]])}),
    # Powers and norms
    f("Hill curve", lambda c, k, n: c**n / (k**n + c**n), {"c": rows(7.4e9, positive=True), "k": rows(6.1e9, positive=True, seed=1), "n": rows(5.0, positive=True, seed=2)}),
    f("Hill repression", lambda c, n: 1 / (1 + c**n), {"c": rows(5e9, positive=True), "n": rows(4.5, positive=True, seed=2)}),
    f("Michaelis with squares", lambda a: square(a) / (1 + square(a)), {"a": rows(3e20)}),
    f("Euclidean norm, huge", lambda x: sqrt(sum_(square(x))), {"x": rows([3e20, -4e20, 1e19])}),
    f("Euclidean norm, tiny", lambda x: sqrt(sum_(square(x))), {"x": rows([3e-24, -4e-24, 1e-25])}),
    f("hypot", lambda x, y: sqrt(square(x) + square(y)), {"x": rows(3e21), "y": rows(-4e21, seed=1)}),
    f("norm of order 16", lambda x: sum_(abs_(x) ** 16) ** (1 / 16), {"x": rows([500.0, 300, 2])}),
    f("norm of order 8, tiny", lambda x: sum_(x**8) ** 0.125, {"x": rows([2e-6, -5e-6, 3e-6])}),
    f("cosine", lambda x, y: sum_(x * y) / (sqrt(sum_(square(x))) * sqrt(sum_(square(y)))), {"x": rows([3e20, -1e20, 2e20]), "y": rows([1.0, 2, -1], seed=3)}),
    f("cosine of tiny", lambda x, y: sum_(x * y) / sqrt(sum_(square(x)) * sum_(square(y))), {"x": rows([3e-15, -1e-15, 2e-15]), "y": rows([1e-14, 2e-14, -1e-14], seed=3)}),
    f("unit vector", lambda x: x / sqrt(sum_(square(x), keepdims=True)), {"x": rows([3e20, -1e20, 2e20])}),
    f("correlation", lambda x, y: sum_((x - mean(x, keepdims=True)) * (y - mean(y, keepdims=True))) / sqrt(sum_(square(x - mean(x, keepdims=True))) * sum_(square(y - mean(y, keepdims=True)))), {"x": rows([3e12, -1e12, 2e12]), "y": rows([1e10, 2e10, -1e10], seed=3)}),
    f("complex division", lambda a, b, c, d: (a * c + b * d) / (square(c) + square(d)), {"a": rows(2e20), "b": rows(1e20, seed=1), "c": rows(4e20, seed=2), "d": rows(-3e20, seed=3)}),
    f("coefficient of variation", lambda x: sqrt(mean(square(x - mean(x, keepdims=True)))) / mean(x), {"x": rows([3e20, 1e20, 2e20], positive=True)}),
    f("geometric mean", lambda x: prod(x) ** (1 / 4), {"x": rows([1e12, 2e12, 3e11, 1e11], positive=True)}),
    f("log of product", lambda x: log(prod(x)), {"x": rows([1e-12, 2e-14, 3e-11, 1e-13], positive=True)}),
    f("ratio of powers", lambda a, b, n: a**n / b**n, {"a": rows(3e6, positive=True), "b": rows(2e6, positive=True, seed=1), "n": rows(8.0, positive=True, seed=2)}),
    f("inverse distance weights", lambda d: (1 / d**4) / sum_(1 / d**4, keepdims=True), {"d": rows([1e-11, 2e-11, 3.0], positive=True)}),
    f("heron, tiny", lambda a, b: sqrt(a * a * b * b) / (a * b), {"a": rows(2e-13, positive=True), "b": rows(3e-13, positive=True, seed=1)}),
    f("relative difference", lambda a, b: square(a - b) / (square(a) + square(b)), {"a": rows(4e20), "b": rows(-3e20, seed=1)}),
    f("student t kernel", lambda z: 1 / (1 + square(z)) / sum_(1 / (1 + square(z)), keepdims=True), {"z": rows([3e20, 1e20, 2e20])}),
    # Cancellation, with a division or a logarithm that meets the zero
    f("log variance by moments", lambda x: log(mean(square(x)) - square(mean(x))), {"x": rows([4000.0, 4000.5, 4001])}),
    f("log of a difference of exponentials", lambda a, b: log(exp(a) - exp(b)), {"a": rows(100.0) + np.array([0, 9, 9, 9]), "b": rows(99.0, seed=1)}),
    f("reciprocal of a difference of roots", lambda x: 1 / (sqrt(x + 1) - sqrt(x)), {"x": rows(3e7, positive=True)}),
    f("log of one minus cosine", lambda x: log(1 - cos(x)), {"x": rows(1e-5)}),
    f("squared distance by expansion", lambda x, y: log(sum_(square(x)) + sum_(square(y)) - 2 * sum_(x * y)), {"x": rows([300.0, 200, 100]), "y": np.concatenate([[[300.01, 200.01, 99.99]], rows([0.0, 0, 0], seed=4)[1:]])}),
    f("log of log ratio", lambda a, b: log(log(a) - log(b)), {"a": np.array([3000.0002, 3, 5, 2]), "b": np.array([3000.0, 1, 2, 1.5])}),
    f("arccosh by hand", lambda x: log(x + sqrt(square(x) - 1)), {"x": np.array([3e20, 1.5, 2, 3])}),
    f("arcsinh by hand", lambda x: log(x + sqrt(square(x) + 1)), {"x": rows(-30000.0)}),
    f("quadratic root", lambda b, c: 1 / (-b + sqrt(square(b) + c)), {"b": rows(20000.0, positive=True), "c": rows(1.0, positive=True, seed=1)}),
    # Removable and one-sided points
    f("annuity", lambda r, t: (1 - exp(-r * t)) / r, {"r": np.array([0.0, 0.05, 0.3, 0.1]), "t": rows(12.0, positive=True)}),
    f("sinc", lambda x: sin(x) / x, {"x": rows(0.0)}),
    f("sine integral kernel", lambda a, t: sin(a * t) / sin(t), {"a": rows(3.0), "t": np.array([0.0, 0.3, 0.5, 1.1])}),
    f("Box-Cox", lambda y, p: (y**p - 1) / p, {"y": rows(3.0, positive=True), "p": np.array([0.0, 0.5, 1.5, -0.4])}),
    f("CRRA utility", lambda c, g: (c ** (1 - g) - 1) / (1 - g), {"c": rows(3.0, positive=True), "g": np.array([1.0, 0.5, 1.5, 2])}),
    f("logarithmic mean", lambda a, b: (a - b) / (log(a) - log(b)), {"a": np.array([2.0, 3, 5, 2]), "b": np.array([2.0, 1, 2, 1.5])}),
    f("Bernoulli function", lambda x: x / (exp(x) - 1), {"x": rows(0.0)}),
    f("mean of exp", lambda x: (exp(x) - 1) / x, {"x": rows(0.0)}),
    f("log1p over x", lambda x: log(1 + x) / x, {"x": np.array([0.0, 0.5, 1.5, 2])}),
    f("compound growth", lambda r, n: ((1 + r) ** n - 1) / r, {"r": np.array([0.0, 0.5, 0.2, 0.1]), "n": rows(7.0, positive=True)}),
    f("one minus cosine over square", lambda x: (1 - cos(x)) / square(x), {"x": rows(0.0)}),
    f("tanh over x", lambda x: tanh(x) / x, {"x": rows(0.0)}),
    f("p log p", lambda p: -sum_(p * log(p)), {"p": np.array([[0.0, 0.4, 0.6], [0.2, 0.3, 0.5], [0.1, 0.1, 0.8], [0.3, 0.3, 0.4]])}),
    f("KL with zeros", lambda d_p, q: sum_(d_p * log(d_p / q)), {"d_p": np.array([[0.0, 0.4, 0.6], [0.2, 0.3, 0.5], [0.1, 0.1, 0.8], [0.3, 0.3, 0.4]]), "q": np.array([[0.2, 0.4, 0.4], [0.2, 0.3, 0.5], [0.5, 0.1, 0.4], [0.3, 0.3, 0.4]])}),
    f("norm at zero", lambda x, y: sqrt(sum_(square(x - y))), {"x": np.array([[1.0, 2], [0, 1], [2, 1], [3, 3]]), "y": np.array([[1.0, 2], [1, 1], [0, 1], [3, 1]])}),
    f("square root at zero", lambda x: sqrt(x), {"x": np.array([0.0, 1, 2, 3])}),
    f("Frank copula", lambda t, d_u, d_v: -log(1 + (exp(-t * d_u) - 1) * (exp(-t * d_v) - 1) / (exp(-t) - 1)) / t, {"t": np.array([0.0, 1, 2, 3]), "d_u": np.array([0.3, 0.2, 0.6, 0.9]), "d_v": np.array([0.7, 0.5, 0.1, 0.4])}),
    f("power at zero", lambda x: abs_(x) ** 0.5, {"x": np.array([0.0, 1, -2, 3])}),
    f("standard deviation of equals", lambda x: std(x), {"x": np.array([[2.0, 2, 2], [1, 2, 4], [0, 1, 5], [3, 3, 1]])}),
    f("xlogy by product", lambda n_k, r: n_k * log(r) - r, {"n_k": [0.0, 1, 2, 3], "r": np.array([0.0, 1, 2, 3])}),
    f("cross-entropy by xlogy", lambda d_y, z: -call("xlogy", d_y, sigmoid(z)) - call("xlogy", 1 - d_y, 1 - sigmoid(z)), {"d_y": np.array([1.0, 0, 1, 0]), "z": rows(-120.0)}),
    f("soft labels by xlogy", lambda d_p, s: -sum_(call("xlogy", d_p, softmax(s))), {"d_p": np.array([[0.5, 0.4, 0.1], [0.2, 0.3, 0.5], [0.0, 0.2, 0.8], [0.3, 0.3, 0.4]]), "s": rows([150.0, 0, -2])}),
    f("masked square root", lambda x, m_k: sqrt(x) * m_k, {"x": np.array([0.0, 1, 2, 3]), "m_k": [0.0, 1, 1, 1]}),
    f("Tsallis entropy", lambda s, q: (1 - sum_(softmax(s) ** q)) / (q - 1), {"s": rows([1.0, 2, 0]), "q": 1.0}),
    f("growth at a distance", lambda p: (exp(p * abs_(p - 2)) - 1) / p, {"p": np.array([0.0, 0.5, 1, 0.7])}),
    f("critical damping", lambda x, t: cos(sqrt(x) * t) + sin(sqrt(x) * t) / sqrt(x), {"x": np.array([0.0, 0.5, 1, 0.7]), "t": np.array([0.8, 0.5, 2, 1])}),
    f("ratio of sinh", lambda a, b: sinh(a) / sinh(b), {"a": rows(95.0), "b": rows(94.0, seed=1)}),
    f("mutual information", lambda s, t: log(sigmoid(s) * sigmoid(t) / (sigmoid(s) * sigmoid(t) + (1 - sigmoid(s)) * (1 - sigmoid(t)))), {"s": rows(-60.0), "t": rows(-65.0, seed=1)}),
    f("two-sided survival", lambda z, w: log(1 - sigmoid(z) * sigmoid(w)), {"z": rows(40.0), "w": rows(42.0, seed=1)}),
]  # fmt: skip
