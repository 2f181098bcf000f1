"""Analytic gradients against numeric ones.

One call checks a layer, an activation function, a loss or a whole network,
for its input and each of its parameters::

    assert_gradients(Dense(3, 2, "tanh"), x)             # x (N, 3), or its shape
    assert_gradients(SoftmaxCrossEntropy(), logits, labels)
    assert_gradients(network, x, labels, loss=SoftmaxCrossEntropy())

and functions that are not minidl's, with what is said to be their derivative::

    assert_vjp(f, vjp, x, W)                             # y = f(x, W); dx, dW = vjp(x, W, dy)
    assert_jac(fun, jac, x)                              # in SciPy's form

The output y is projected on a random upstream gradient dy, φ = ⟨dy, y⟩, and
φ is differentiated numerically along a random direction u of each variable v:
d/dt φ(v + t u) at t = 0 must be ⟨∂φ/∂v, u⟩.  An upstream of ones would hide bugs:
a softmax backward that returns zeros passes it.

The files, from the bottom up: ``result`` (what is found, as a table), ``point`` (where),
``subjects`` (a layer, a network or a loss as φ, and every way to call its backward),
``numeric`` (derivatives along a direction), ``ties`` (points at which f has two slopes),
``judge`` (what counts as equal), ``check``, ``functions`` (those that are not minidl's).
"""

from __future__ import annotations

from minidl.gradcheck.check import assert_gradients, check_gradients
from minidl.gradcheck.functions import assert_jac, assert_vjp, check_jac, check_vjp
from minidl.gradcheck.result import CheckedGradient, GradientCheck, GradientError

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
