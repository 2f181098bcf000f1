"""One example through a tiny network, forward and backward, every number with its formula.

The network has two inputs, a hidden layer of three units and two classes.  Its numbers are those
that minidl computes.  Each comes with its formula: NumPy adds and multiplies arrays of
:class:`Term` like numbers, so that ``x @ W1 + b1`` is the formula of each entry of z.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from minidl.activations import get_activation
from minidl.layers import Dense
from minidl.losses import SoftmaxCrossEntropy
from minidl.network import Network
from minidl.optimizers import SGD

X = np.array([[1.0, 0.5]])  # one example
TARGET = np.array([1])  # it is of the second class
W1 = np.array([[0.5, -0.3, 0.8], [0.2, 0.7, -0.6]])
B1 = np.array([0.1, -0.4, -0.2])
W2 = np.array([[0.4, -0.5], [0.9, 0.3], [-0.7, 0.6]])
B2 = np.array([0.0, 0.1])
FACTOR = 12.0  # times W1 and b1: the hidden units are where sigmoid is flat
RATE = 0.5  # η


@dataclass(frozen=True)
class Term:
    """A number in a formula: sums of products, which need no parentheses."""

    text: str

    def __add__(self, other: Any) -> Term:
        return Term(f"{self} + {other}")

    def __sub__(self, other: Any) -> Term:
        return Term(f"{self} − {other}")

    def __mul__(self, other: Any) -> Term:
        return Term(f"{self} · {other}")

    def __rmul__(self, other: Any) -> Term:
        return Term(f"{other} · {self}")

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Cell:
    """One number."""

    name: str  # z⁽¹⁾₂
    value: float
    formula: str  # "{x₁} · {W⁽¹⁾₁₂} + …", the cells it is made of in braces; empty where given


@dataclass(frozen=True)
class Table:
    """One array."""

    name: str  # z⁽¹⁾
    meaning: str
    formula: str  # of the whole array; empty where it is given
    part: str  # forward, backward or update
    place: str  # input, layer 1, layer 2 or loss
    rows: list[list[Cell]]


@dataclass(frozen=True)
class Walk:
    """One training step, its arrays in the order in which they are computed."""

    title: str
    tables: list[Table]

    def show(
        self,
        where: str,
        name: str,
        meaning: str,
        v: np.ndarray,
        formula: str = "",
        terms: np.ndarray | None = None,
    ) -> np.ndarray:
        """Record the current array ``v`` and the formulas of its entries; return their names."""
        v = np.atleast_2d(v)
        names = np.empty(v.shape, object)
        rows: list[list[Cell]] = []
        for i, j in np.ndindex(v.shape):
            places = (i, j)[v.shape[0] == 1 :] if v.size > 1 else ()  # one row is a vector
            label = name + "".join("₁₂₃"[place] for place in places)
            names[i, j] = Term(f"{{{label}}}")
            if j == 0:
                rows.append([])
            rows[i].append(Cell(label, float(v[i, j]), "" if terms is None else str(terms[i, j])))
        part, place = where.split(", ")
        self.tables.append(Table(name, meaning, formula, part, place, rows))
        return names


# The function's letter, y of z, and f'(z) of z and y.
FUNCTIONS: dict[str, tuple[str, Callable[[Term], Term], Callable[[Term, Term], Term]]] = {
    "sigmoid": (
        "σ",
        lambda z: Term(f"1 / (1 + e^(−{z}))"),
        lambda z, y: Term(f"{y} · (1 − {y})"),
    ),
    "tanh": ("tanh", lambda z: Term(f"tanh({z})"), lambda z, y: Term(f"1 − {y} · {y}")),
    "relu": ("ReLU", lambda z: Term(f"max(0, {z})"), lambda z, y: Term(f"[{z} > 0]")),
}


def walks() -> list[Walk]:
    """The step with three functions, and with a saturated sigmoid."""
    return [
        walk("sigmoid", "sigmoid"),
        walk("sigmoid, saturated", "sigmoid", FACTOR),
        walk("tanh", "tanh"),
        walk("ReLU", "relu"),
    ]


def walk(title: str, activation: str, factor: float = 1.0) -> Walk:
    """Forward, backward and an update by SGD; W1 and b1 start ``factor`` times as large."""
    first, second = Dense(2, 3, activation), Dense(3, 2)
    network = Network([first, second], 2, dtype="float64")
    first.W[...], first.b[...], second.W[...], second.b[...] = W1 * factor, B1 * factor, W2, B2
    letter, y_of_z, slope_of = FUNCTIONS[activation]
    done = Walk(title, [])
    show = done.show

    logits = network.forward(X)
    loss, dlogits = SoftmaxCrossEntropy()(logits, TARGET)
    slopes = first.activation.derivative(first.z, first.y)
    x = show("forward, input", "x", "the example", X)
    at = "forward, layer 1"
    w1 = show(at, "W⁽¹⁾", "weights", first.W)
    b1 = show(at, "b⁽¹⁾", "biases", first.b)
    z1 = show(at, "z⁽¹⁾", "pre-activations", first.z, "x W⁽¹⁾ + b⁽¹⁾", x @ w1 + b1)
    y1 = show(at, "y⁽¹⁾", "activations", first.y, f"{letter}(z⁽¹⁾)", _each(y_of_z, z1))
    f1 = show(at, "f′⁽¹⁾", "slopes", slopes, f"{letter}′(z⁽¹⁾)", _each(slope_of, z1, y1))
    at = "forward, layer 2"
    w2 = show(at, "W⁽²⁾", "weights", second.W)
    b2 = show(at, "b⁽²⁾", "biases", second.b)
    z2 = show(at, "z⁽²⁾", "logits", second.z, "y⁽¹⁾ W⁽²⁾ + b⁽²⁾", y1 @ w2 + b2)
    at = "forward, loss"
    e = _each(lambda z: Term(f"e^{z}"), z2)
    softmax = get_activation("softmax")(logits)
    share = _each(lambda e_k: Term(f"{e_k} / ({e.sum()})"), e)
    p = show(at, "p", "probabilities", softmax, "softmax(z⁽²⁾)", share)
    log = _each(lambda p_t: Term(f"−log {p_t}"), p[:, TARGET])
    show(at, "L", "loss; true class 2", np.array(loss), "−log p₂", log)

    dy1 = second.backward(dlogits)  # as Network.backward does, but here dy1 is shown
    assert dy1 is not None
    first.backward(dy1, input_gradient=False)
    at = "backward, layer 2"
    one_hot = np.eye(2, dtype=int)[TARGET]
    dz2 = show(at, "dz⁽²⁾", "∂L/∂z⁽²⁾", second.dz, "p − (0, 1)", p - one_hot)
    dw2 = show(at, "dW⁽²⁾", "∂L/∂W⁽²⁾", second.dW, "y⁽¹⁾ᵀ dz⁽²⁾", y1.T @ dz2)
    db2 = show(at, "db⁽²⁾", "∂L/∂b⁽²⁾", second.db, "dz⁽²⁾", dz2)
    at = "backward, layer 1"
    dy = show(at, "dy⁽¹⁾", "∂L/∂y⁽¹⁾", dy1, "dz⁽²⁾ W⁽²⁾ᵀ", dz2 @ w2.T)
    dz1 = show(at, "dz⁽¹⁾", "∂L/∂z⁽¹⁾", first.dz, f"dy⁽¹⁾ ∘ {letter}′(z⁽¹⁾)", dy * f1)
    dw1 = show(at, "dW⁽¹⁾", "∂L/∂W⁽¹⁾", first.dW, "xᵀ dz⁽¹⁾", x.T @ dz1)
    db1 = show(at, "db⁽¹⁾", "∂L/∂b⁽¹⁾", first.db, "dz⁽¹⁾", dz1)

    SGD(RATE).step(network.theta, network.dtheta)
    rate = f"− {RATE}"
    at = "update, layer 1"
    show(at, "new W⁽¹⁾", "weights", first.W, f"W⁽¹⁾ {rate} dW⁽¹⁾", w1 - RATE * dw1)
    show(at, "new b⁽¹⁾", "biases", first.b, f"b⁽¹⁾ {rate} db⁽¹⁾", b1 - RATE * db1)
    at = "update, layer 2"
    show(at, "new W⁽²⁾", "weights", second.W, f"W⁽²⁾ {rate} dW⁽²⁾", w2 - RATE * dw2)
    show(at, "new b⁽²⁾", "biases", second.b, f"b⁽²⁾ {rate} db⁽²⁾", b2 - RATE * db2)
    return done


def _each(formula: Callable[..., Term], *arrays: np.ndarray) -> np.ndarray:
    """``formula`` of each entry."""
    return np.frompyfunc(formula, len(arrays), 1)(*arrays)
