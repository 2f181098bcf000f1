"""The fused kernels of the GPU: one launch for what NumPy does in several passes.

This is all of minidl's CUDA code, apart from the graph in ``graph.py``.  Each function
is called with CuPy arrays by the one place that has the same mathematics in NumPy
lines, named in its docstring; a test compares the two.  Without a kernel here, those
lines run on the GPU themselves, in more launches.

A kernel is written as the body of a loop over the elements ``i`` of its last
arrays (``cupy.ElementwiseKernel``); ``T`` is float or double.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import Any

from minidl._rule_text import parsed
from minidl.backend import Array, namespace
from minidl.kernel import Function, is_rule, register

# f(z) -> y and f'(z) -> d of the functions in activations/, by class.
# NaN must be preserved: z <= 0 ? 0 : z lets it through, z > 0 ? z : 0 would not.
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
    "Square": ("y = z * z;", "d = 2 * z;"),
    "GELUTanh": (
        "T w = z < -30 ? T(-30) : z > 30 ? T(30) : z;"
        " y = z / (1 + exp(T(-1.5957691216057308) * (w + T(0.044715) * w * w * w)));",
        "T w = z < -30 ? T(-30) : z > 30 ? T(30) : z;"
        " T e = exp(T(1.5957691216057308) * (w + T(0.044715) * w * w * w));"
        " d = w * T(1.5957691216057308) * (1 + T(0.134145) * w * w) / (1 + e);"
        " d = (1 + d) / (1 + 1 / e);",
    ),
    "Swish": ("y = z / (1 + exp(-z));", "d = (1 + z / (1 + exp(z))) / (1 + exp(-z));"),
    "Softplus": (
        "y = (z > 0 ? z : T(0)) + log1p(exp(z > 0 ? -z : z));",
        "d = 1 / (1 + exp(-z));",
    ),
    "Mish": (
        "y = z * tanh((z > 0 ? z : T(0)) + log1p(exp(z > 0 ? -z : z)));",
        "T s = (z > 0 ? z : T(0)) + log1p(exp(z > 0 ? -z : z)); d = 1 / cosh(s);"
        " d = tanh(s) + z / (1 + exp(-z)) * d * d;",
    ),
    "CELU": (
        "y = z > 0 ? z : alpha * expm1(z / alpha);",
        "d = z > 0 ? T(1) : exp(z / alpha);",
    ),
    "Softsign": (
        "y = z / (1 + (z > 0 ? z : -z));",
        "d = 1 / (1 + (z > 0 ? z : -z)); d *= d;",
    ),
    "BinaryStep": ("y = z > 0 ? T(1) : z <= 0 ? T(0) : z;", "d = 0;"),
    "ReLU6": ("y = z <= 0 ? T(0) : z > 6 ? T(6) : z;", "d = z > 0 && z <= 6;"),
    "HardSigmoid": (
        "y = z <= -3 ? T(0) : z > 3 ? T(1) : z / 6 + T(0.5);",
        "d = z > -3 && z <= 3 ? 1 / T(6) : T(0);",
    ),
    "HardSwish": (
        "y = z <= -3 ? T(0) : z > 3 ? z : z * (z / 6 + T(0.5));",
        "d = z <= -3 ? T(0) : z > 3 ? T(1) : z / 3 + T(0.5);",
    ),
}
FUNCTIONS["RandomizedLeakyReLU"] = FUNCTIONS["LeakyReLU"]  # alpha is the mean
FUNCTIONS["SELU"] = FUNCTIONS["ELU"]  # with its own alpha and scale

# What a kernel reads, what it writes, its body.
KERNELS: dict[str, tuple[str, str, str]] = {
    "softmax_cross_entropy": (  # one thread for each example: C is small
        "raw T logits, raw L targets, int64 C",
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
            dlogits[i * C + j] = dlogits[i * C + j] / total;
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
    # For the graph: what changes from step to step is read from tables at an index on the device.
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


# -- what replaces the lines of the CPU, by their qualified name -----------------------------


def _has_kernel(f: Any) -> bool:
    """Whether the activation function is one of minidl's own."""
    return type(f).__module__.startswith("minidl.activations.") and type(f).__name__ in FUNCTIONS


def _activation(kernel: str, f: Any, *arrays: Array) -> Array:
    """The last of ``arrays``, filled from the others."""
    *reads, out = arrays
    given = getattr(f, "alpha", 0.0), getattr(f, "scale", 1.0)
    _launch(f"{type(f).__name__}.{kernel}", *reads, *given, out)
    return out


def activation(f: Any, z: Array) -> Array:
    """y = f(z)."""
    return _activation("f", f, z, namespace(z).empty_like(z)) if _has_kernel(f) else f.f(z)


def activation_backward(f: Any, dy: Array, z: Array, y: Array) -> Array:
    """dz = dy ∘ f'(z), given y = f(z)."""
    if not _has_kernel(f):
        return dy * f.slope(z, y)
    return _activation("backward", f, dy, z, y, namespace(z).empty_like(z))


def softmax_cross_entropy(z: Array, t: Array) -> tuple[Array, Array]:
    """−log p_t of each example, and its gradient."""
    losses, dz = (namespace(z).empty(shape, z.dtype) for shape in (len(z), z.shape))
    _launch("softmax_cross_entropy", z, t, z.shape[1], losses, dz)
    return losses, dz


def largest_is_target(loss: Any, logits: Array, targets: Array) -> Array:
    """1 if the largest logit is the target's, else 0."""
    hits = namespace(logits).empty(len(logits), logits.dtype)
    _launch("largest_is_target", logits, targets, logits.shape[1], hits)
    return hits


# What is called on a GPU instead of a function marked ``@kernel``.
TWINS: dict[str, Callable[..., Any]] = {
    "Activation.__call__": activation,
    "Activation.backward": activation_backward,
    "softmax_cross_entropy": softmax_cross_entropy,
    "SoftmaxCrossEntropy.correct": largest_is_target,
}


# -- loops: the lines themselves are the body -------------------------------------------------


def find(text: Function, is_long: bool) -> Function | None:
    """The twin of a marked function on a GPU: see :func:`minidl.kernel.register`."""
    return _rule(text) if is_rule(text) else TWINS.get(text.__qualname__)


def _rule(text: Function) -> Function:
    names = parsed(text).parameters
    reads, writes, _ = kernel_of(text)
    order = [names.index(part.split()[-1]) for part in f"{reads}, {writes}".split(",")]

    def run(*arguments: Any) -> None:
        _compiled_rule(namespace(arguments[0]), text)(*[arguments[k] for k in order])

    return run


@cache
def _compiled_rule(cupy: ModuleType, text: Function) -> Any:
    name = f"minidl_{text.__name__}"
    return cupy.ElementwiseKernel(*kernel_of(text), name, no_return=True)


def kernel_of(text: Function) -> tuple[str, str, str]:
    """What the kernel of a rule reads, what it writes, its body: ``x[i]`` is ``x`` to CUDA."""
    rule = parsed(text)
    body = "; ".join(ast.unparse(_Entries().visit(line)) for line in rule.lines) + ";"
    reads = ", ".join(f"T {name}" for name in rule.parameters if name not in rule.written)
    writes = ", ".join(f"T {name}" for name in rule.parameters if name in rule.written)
    return reads, writes, body


class _Entries(ast.NodeTransformer):
    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        return node.value


# -- tables of an epoch: step.py --------------------------------------------------------------


def fetch(table: Array, place: Array, width: int, each: int, now: Array) -> None:
    """``now`` = the ``width`` entries of ``table`` for place // each, where ``place`` ``(1,)``."""
    _launch("fetch", table, place, width, each, now)


def store(loss: Array, hit: Array, place: Array, losses: Array, hits: Array) -> None:
    """losses[place + i] = loss_i,  hits[place + i] = hit_i."""
    _launch("store", loss, hit, place, losses, hits)


register("cupy", find)
