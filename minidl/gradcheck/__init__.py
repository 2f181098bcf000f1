"""Analytic gradients compared with numeric ones.

One call checks a layer, an activation function, a loss or a whole network,
with respect to its input and each of its parameters::

    assert_gradients(Dense(3, 2, "tanh"), x)             # x (N, 3), or its shape
    assert_gradients(SoftmaxCrossEntropy(), logits, labels)
    assert_gradients(network, x, labels, loss=SoftmaxCrossEntropy())

Functions outside minidl are checked with their claimed derivatives::

    assert_vjp(f, vjp, x, W)                             # y = f(x, W); dx, dW = vjp(x, W, dy)
    assert_jac(fun, jac, x)                              # in SciPy's form

The output y is projected on a random upstream gradient dy, φ = ⟨dy, y⟩, and
φ is differentiated numerically along a random direction u of each variable v:
d/dt φ(v + t u) at t = 0 must equal ⟨∂φ/∂v, u⟩.  An upstream gradient of ones would hide bugs:
a backward pass of softmax that returns zeros would pass.

The files, from the top down: ``check`` (the entry points), ``subjects`` (a layer, a network, a
loss or a function as φ, and every way to call its backward), ``numeric`` (derivatives along a
line), ``compare`` (what counts as equal), ``report`` (the findings, as a table).
"""

from __future__ import annotations

from minidl.gradcheck.check import (
    assert_gradients,
    assert_jac,
    assert_vjp,
    check_gradients,
    check_jac,
    check_vjp,
)
from minidl.gradcheck.report import CheckedGradient, GradientCheck, GradientError

__all__ = [
    "CheckedGradient",
    "GradientCheck",
    "GradientError",
    "assert_gradients",
    "assert_jac",
    "assert_vjp",
    "check_gradients",
    "check_jac",
    "check_vjp",
]
