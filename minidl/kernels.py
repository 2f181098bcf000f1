"""The fused kernels of the GPU: one launch for what NumPy does in several passes.

Here is all of minidl's CUDA, apart from the graph in ``graph.py``.  Each function
is called with CuPy arrays by the one place that has the same mathematics as NumPy
lines, named in its docstring; a test holds the two together.  What has no kernel
here runs on the GPU by those lines, too, in more launches.

A kernel is written as the body of a loop over the elements ``i`` of its last
arrays (``cupy.ElementwiseKernel``); ``T`` is float or double.
"""

from __future__ import annotations

from functools import cache
from types import ModuleType
from typing import Any

import numpy as np

from minidl.backend import Array, namespace

# f(z) -> y and f'(z) -> d of the functions in activations/, by class.
# A NaN must stay one: z <= 0 ? 0 : z lets it through, z > 0 ? z : 0 would not.
FUNCTIONS: dict[str, tuple[str, str]] = {
    "Linear": ("y = z;", "d = 1;"),
    "Sigmoid": ("y = 1 / (1 + exp(-z));", "d = y / (1 + exp(z));"),
    "Tanh": ("y = tanh(z);", "d = 1 / cosh(z); d *= d;"),
    "PenalizedTanh": (
        "y = z > 0 ? tanh(z) : alpha * tanh(z);",
        "d = 1 / cosh(z); d *= z > 0 ? d : alpha * d;",
    ),
    "ReLU": ("y = z <= 0 ? T(0) : z;", "d = z > 0;"),
    "SquaredReLU": ("y = z <= 0 ? T(0) : z * z;", "d = z > 0 ? 2 * z : T(0);"),
    "LeakyReLU": ("y = z > 0 ? z : alpha * z;", "d = z > 0 ? T(1) : alpha;"),
    "ELU": (
        "y = scale * (z > 0 ? z : alpha * expm1(z));",
        "d = scale * (z > 0 ? T(1) : alpha * exp(z));",
    ),
    "GELU": (
        "y = z * (T(0.5) * erfc(z * T(-0.70710678118654752)));",
        "d = z * exp(T(-0.5) * z * z) * T(0.39894228040143268)"
        " + T(0.5) * erfc(z * T(-0.70710678118654752));",
    ),
    "Swish": ("y = z / (1 + exp(-z));", "d = (1 + z / (1 + exp(z))) / (1 + exp(-z));"),
}
FUNCTIONS["SELU"] = FUNCTIONS["ELU"]  # with its own alpha and scale

# What a kernel reads, what it writes, its body.
KERNELS: dict[str, tuple[str, str, str]] = {
    "take_scaled": (
        "raw S inputs, raw int64 rows, int64 size, T divisor",
        "T x",
        "x = T(inputs[rows[i / size] * size + i % size]) / divisor;",
    ),
    "softmax_cross_entropy": (  # one thread for each example: C is small
        "raw T logits, raw L targets, int64 C, T divisor",
        "T loss, raw T dlogits",
        """
        T m = logits[i * C];
        for (long long j = 1; j < C; ++j) {
            T z = logits[i * C + j];
            m = z > m ? z : m;
        }
        long long t = targets[i];
        T others = 0;
        for (long long j = 0; j < C; ++j) {
            T e = exp(logits[i * C + j] - m);
            dlogits[i * C + j] = e;
            others += j == t ? T(0) : e;
        }
        T e_t = dlogits[i * C + t];
        T total = others + e_t;
        dlogits[i * C + t] = -others;
        for (long long j = 0; j < C; ++j) {
            dlogits[i * C + j] = dlogits[i * C + j] / total / divisor;
        }
        loss = log1p(others - (1 - e_t)) - (logits[i * C + t] - m);
        """,
    ),
    "largest_is_target": (
        "raw T logits, raw L targets, int64 C",
        "T hit",
        """
        long long best = 0;
        for (long long j = 1; j < C; ++j) {
            best = logits[i * C + j] > logits[i * C + best] ? j : best;
        }
        hit = best == (long long)targets[i];
        """,
    ),
    "sgd": ("T g, T eta", "T theta", "theta -= eta * g;"),
    "momentum": (
        "T g, T eta, T mu, bool nesterov",
        "T theta, T v",
        "v = mu * v + g; theta -= eta * (nesterov ? g + mu * v : v);",
    ),
    "rmsprop": (
        "T g, T eta, T rho, T epsilon",
        "T theta, T s",
        "s = rho * s + (1 - rho) * (g * g); theta -= eta * (g / (sqrt(s) + epsilon));",
    ),
    "adam": (
        "T g, T eta, T epsilon, T beta1, T beta2",
        "T theta, T m, T v",
        "m = beta1 * m + g; v = beta2 * v + g * g; theta -= eta * (m / (sqrt(v) + epsilon));",
    ),
    # The graph's own: what changes from step to step is read from tables at a place on the device.
    "fetch": (
        "raw V table, raw int64 place, int64 width, int64 each",
        "V now",
        "now = table[place[0] / each * width + i];",
    ),
    "store": (
        "T loss, T hit, raw int64 place",
        "raw T losses, raw T hits",
        "losses[place[0] + i] = loss; hits[place[0] + i] = hit;",
    ),
}
for _name, (_f, _df) in FUNCTIONS.items():
    _given = "T alpha, T scale"
    KERNELS |= {
        f"{_name}.f": (f"T z, {_given}", "T y", _f),
        f"{_name}.bias_f": (f"T b, {_given}", "T z, T y", f"z = z + b; {_f}"),
        f"{_name}.df": (f"T z, T y, {_given}", "T d", _df),
        f"{_name}.backward": (f"T dy, T z, T y, {_given}", "T dz", f"T d; {_df} dz = dy * d;"),
    }


@cache
def _compiled(cupy: ModuleType, name: str) -> Any:
    reads, writes, body = KERNELS[name]
    return cupy.ElementwiseKernel(
        reads, writes, body, "minidl_" + name.replace(".", "_"), no_return=True
    )


def _launch(name: str, *arguments: Any) -> None:
    """Run a kernel on the GPU of its last array."""
    _compiled(namespace(arguments[-1]), name)(*arguments)


# -- activation functions: the lines are f, df, with_bias and backward in activations/ ------


def has_kernel(f: Any, array: Array) -> bool:
    """Whether ``array`` is on a GPU and the activation function ``f`` is one of minidl's own."""
    if namespace(array) is np:
        return False
    return type(f).__module__.startswith("minidl.activations.") and type(f).__name__ in FUNCTIONS


def _activation(kernel: str, f: Any, reads: tuple[Array, ...], writes: tuple[Array, ...]) -> None:
    given = getattr(f, "alpha", 0.0), getattr(f, "scale", 1.0)
    _launch(f"{type(f).__name__}.{kernel}", *reads, *given, *writes)


def activation(f: Any, z: Array, y: Array) -> None:
    """y = f(z)."""
    _activation("f", f, (z,), (y,))


def bias_activation(f: Any, z: Array, b: Array, y: Array) -> None:
    """z ← z + b,  y = f(z)."""
    _activation("bias_f", f, (b,), (z, y))


def activation_slope(f: Any, z: Array, y: Array, d: Array) -> None:
    """d = f'(z), given y = f(z)."""
    _activation("df", f, (z, y), (d,))


def activation_backward(f: Any, dy: Array, z: Array, y: Array, dz: Array) -> None:
    """dz = dy ∘ f'(z), given y = f(z)."""
    _activation("backward", f, (dy, z, y), (dz,))


# -- batch and loss: the lines are in examples.py and losses.py -------------------------------


def take_scaled(inputs: Array, rows: Array, divisor: float, x: Array) -> None:
    """x_i = inputs_(rows_i) / divisor: ``Examples.draw``."""
    _launch("take_scaled", inputs, rows, inputs[0].size, divisor, x)


def softmax_cross_entropy(
    logits: Array, targets: Array, divisor: float, losses: Array, dlogits: Array
) -> None:
    """−log p_t of each example, and its gradient / divisor: ``SoftmaxCrossEntropy.each``."""
    C = logits.shape[1]
    _launch("softmax_cross_entropy", logits, targets, C, divisor, losses, dlogits)


def largest_is_target(logits: Array, targets: Array, hits: Array) -> None:
    """1 where the largest logit is the target's, else 0: ``SoftmaxCrossEntropy.hits``."""
    _launch("largest_is_target", logits, targets, logits.shape[1], hits)


# -- update rules: the lines are the methods ``update`` in optimizers.py ----------------------


def sgd(theta: Array, g: Array, eta: Any) -> None:
    _launch("sgd", g, eta, theta)


def momentum(theta: Array, g: Array, v: Array, eta: Any, mu: float, nesterov: bool) -> None:
    _launch("momentum", g, eta, mu, nesterov, theta, v)


def rmsprop(theta: Array, g: Array, s: Array, eta: Any, rho: float, epsilon: float) -> None:
    _launch("rmsprop", g, eta, rho, epsilon, theta, s)


def adam(
    theta: Array, g: Array, m: Array, v: Array, eta: Any, epsilon: Any, beta1: float, beta2: float
) -> None:
    _launch("adam", g, eta, epsilon, beta1, beta2, theta, m, v)


# -- tables of an epoch: step.py --------------------------------------------------------------


def fetch(table: Array, place: Array, width: int, each: int, now: Array) -> None:
    """``now`` = the ``width`` entries of ``table`` for place // each, where ``place`` ``(1,)``."""
    _launch("fetch", table, place, width, each, now)


def store(loss: Array, hit: Array, place: Array, losses: Array, hits: Array) -> None:
    """losses[place + i] = loss_i,  hits[place + i] = hit_i."""
    _launch("store", loss, hit, place, losses, hits)
