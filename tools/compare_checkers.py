"""The same backward passes, right and wrong, given to three gradient checkers.

    python tools/compare_checkers.py

prints the table of docs/check_your_own.md: what minidl, SciPy's ``check_grad`` and PyTorch's
``gradcheck`` say, each as it is without options.  A column is left out where its package is not
installed.

``check_grad`` takes a function with one number: here φ = ⟨dy, f(x)⟩ of one random dy, over all
inputs in a row.  It gives the length of the difference, whose size one has to judge; more than 1e-6
counts as found.  ``gradcheck`` gets an ``autograd.Function`` around the same two functions.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import check_grad
from scipy.special import expit

from minidl import check_vjp

FOUND = 1e-6  # of check_grad's length from here on


class Case(NamedTuple):
    """A function, its claimed backward pass, and whether that is right."""

    what: str
    right: bool
    f: Callable[..., Any]
    vjp: Callable[..., Any]
    x: Sequence[np.ndarray]


def dense(x, W, b):
    return np.tanh(x @ W + b)


def dense_vjp(x, W, b, dy):
    dz = dy * (1 - dense(x, W, b) ** 2)
    return dz @ W.T, x.T @ dz, dz.sum(axis=0)


def one_sum(x, W, b, dy):
    dx, dW, db = dense_vjp(x, W, b, dy)
    return dx, dW, np.full_like(db, db.sum())


def one_entry(x, W, b, dy):
    dx, dW, db = dense_vjp(x, W, b, dy)
    dW[7, 9] *= 1.1
    return dx, dW, db


def turned(x, W, b, dy):
    dx, dW, db = dense_vjp(x, W, b, dy)
    return dx, dW.T, db


def swish(x):
    return x * expit(x)


def swish_vjp(x, dy):
    return dy * (expit(x) + x * expit(x) * expit(-x))


def half_the_product_rule(x, dy):
    return dy * expit(x)


def changes_dy(x, dy):
    dy *= expit(x) + x * expit(x) * expit(-x)
    return dy


def gelu(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def rounded_constant(x, dy):
    c = np.sqrt(2 / np.pi)
    t = np.tanh(c * (x + 0.044715 * x**3))
    return dy * (0.5 * (1 + t) + 0.5 * x * (1 - t**2) * c * (1 + 0.1341 * x**2))  # 0.134145


def relu(x):
    return np.maximum(x, 0)


def relu_vjp(x, dy):
    return dy * (x > 0)


class Adds:
    """A gradient that is accumulated, as in frameworks, and never set to zero."""

    def __init__(self) -> None:
        self.dx: Any = 0.0

    def vjp(self, x, dy):
        self.dx = self.dx + swish_vjp(x, dy)
        return self.dx


def cases() -> list[Case]:
    rng = np.random.default_rng(0)
    x, W, b = rng.normal(size=(5, 4)), rng.normal(size=(4, 3)), rng.normal(size=3)
    square = rng.normal(size=(4, 30)), rng.normal(size=(30, 30)) / 6, rng.normal(size=30)
    z = rng.normal(size=(4, 3))
    at_zero = np.array([-1.0, 0.0, 2.0])
    return [
        Case("a dense layer", True, dense, dense_vjp, (x, W, b)),
        Case("ReLU at exactly 0", True, relu, relu_vjp, (at_zero,)),
        Case("numbers around 10⁶", True, lambda x: x**2, lambda x, dy: 2 * x * dy, (1e6 * z,)),
        Case(
            *("gradients around 10⁻⁹", True),
            *(lambda x: 1e-9 * swish(x), lambda x, dy: 1e-9 * swish_vjp(x, dy), (z,)),
        ),
        Case("half the product rule", False, swish, half_the_product_rule, (z,)),
        Case("one sum for all of db", False, dense, one_sum, (x, W, b)),
        Case("one entry of 900 off by 10%", False, dense, one_entry, square),
        Case("dW turned round, of a square W", False, dense, turned, square),
        Case("a constant rounded, 0.134145 to 0.1341", False, gelu, rounded_constant, (z,)),
        Case(
            *("zeros for gradients around 10⁻⁷", False),
            *(lambda x: 1e-7 * swish(x), lambda x, dy: np.zeros_like(x), (z,)),
        ),
        Case("dy changed in place", False, swish, changes_dy, (z,)),
        Case("added up from call to call", False, swish, Adds().vjp, (z,)),
        Case(
            *("a row (1, n) for dx (N, n)", False, lambda x: x.sum(axis=0)),
            *(lambda x, dy: dy[None], (z,)),
        ),
    ]


def by_minidl(case: Case) -> tuple[bool, str]:
    """Whether it passes, and the number that decides, if there is one."""
    return check_vjp(case.f, case.vjp, *case.x).passed, ""


def by_scipy(case: Case) -> tuple[bool, str]:
    shapes = [one.shape for one in case.x]
    ends = np.cumsum([one.size for one in case.x])[:-1]
    dy = np.random.default_rng(1).normal(size=case.f(*case.x).shape)

    def parts(v):
        pieces = zip(np.split(v, ends), shapes, strict=True)
        return [piece.reshape(shape) for piece, shape in pieces]

    def phi(v):
        return float((dy * case.f(*parts(v))).sum())

    def gradient(v):
        found = case.vjp(*parts(v), dy.copy())
        found = found if isinstance(found, tuple) else (found,)
        return np.concatenate([one.ravel() for one in found])

    try:
        length = check_grad(phi, gradient, np.concatenate([one.ravel() for one in case.x]))
    except ValueError:  # of an array of another size
        return False, ""
    return length <= FOUND, f", {length:.0e}"


def by_torch(case: Case) -> tuple[bool, str]:
    import torch

    class Function(torch.autograd.Function):
        @staticmethod
        def forward(context, *x):
            context.save_for_backward(*x)
            return torch.from_numpy(np.asarray(case.f(*(one.detach().numpy() for one in x))))

        @staticmethod
        def backward(context, dy):
            x = [one.detach().numpy() for one in context.saved_tensors]
            found = case.vjp(*x, dy.numpy())
            found = found if isinstance(found, tuple) else (found,)
            return tuple(torch.from_numpy(np.ascontiguousarray(one)) for one in found)

    inputs = [torch.tensor(one, requires_grad=True) for one in case.x]
    try:
        return torch.autograd.gradcheck(Function.apply, inputs), ""
    except RuntimeError:
        return False, ""


CHECKERS = {"check_vjp": by_minidl, "check_grad": by_scipy}
if importlib.util.find_spec("torch"):
    CHECKERS["gradcheck"] = by_torch


def verdicts() -> dict[str, dict[str, str]]:
    """The verdict of each checker on each case."""
    table: dict[str, dict[str, str]] = {}
    for name, checker in CHECKERS.items():
        for case in cases():  # made anew: one of them keeps something
            passes, number = checker(case)
            if case.right:
                word = "passes" if passes else "**false alarm**"
            else:
                word = "**missed**" if passes else "found"
            table.setdefault(case.what, {})[name] = word + number
    return table


def main() -> None:
    print("| |", " | ".join(f"`{name}`" for name in CHECKERS), "|")
    print("|---|" + "---|" * len(CHECKERS))
    for what, words in verdicts().items():
        print(f"| {what} |", " | ".join(words.values()), "|")


if __name__ == "__main__":
    main()
