"""Layers and losses with one planted error each; ``ARGUMENTS[name]()`` is what to check."""

from __future__ import annotations

import numpy as np

from minidl import (
    ACTIVATIONS,
    APL,
    GLU,
    Activate,
    AveragePool2D,
    BatchNorm,
    BinaryCrossEntropy,
    Conv2D,
    Dense,
    Dropout,
    Embedding,
    EncoderBlock,
    FirstToken,
    Flatten,
    GlobalAveragePool2D,
    LayerNorm,
    MaxPool2D,
    MeanSquaredError,
    PositionEmbedding,
    PReLU,
    Residual,
    RReLU,
    SelfAttention,
    SoftmaxCrossEntropy,
    SwiGLU,
    get_activation,
)
from minidl.activations import Activation

LABELS = np.array([0, 3, 1, 1, 2])


def after(cls, change):
    """The class with ``change(layer, dy, dx)`` run after backward; its result is the new dx."""

    class Mutant(cls):
        def backward(self, dy, input_gradient=True):
            return change(self, dy, super().backward(dy, True))

    Mutant.__name__ = cls.__name__
    return Mutant


def scale(attribute, factor):
    """Multiply a gradient after the correct backward."""

    def change(layer, dy, dx):
        getattr(layer, attribute)[...] *= factor
        return dx

    return change


def set_to(attribute, value):
    """Overwrite a gradient after the correct backward."""

    def change(layer, dy, dx):
        getattr(layer, attribute)[...] = value(layer, dy)
        return dx

    return change


def change_dy(layer, dy, dx):
    dy *= 2
    return dx


class Accumulating(Dense):
    def backward(self, dy, input_gradient=True):
        before = self.dW.copy()
        dx = super().backward(dy, input_gradient)
        self.dW += before
        return dx


class DropsAnew(Dropout):
    def backward(self, dy, input_gradient=True):
        return dy * (self.rng.random(dy.shape) >= self.rate) / (1 - self.rate)


class SlopesDrawnAnew(RReLU):
    def backward(self, dy, input_gradient=True):
        self.a = self._draw_slopes(self.x) if np.ndim(self.a) else self.a
        return super().backward(dy, input_gradient)


DENSE = {
    "nothing is wrong": lambda layer, dy, dx: dx,
    "dW transposed": set_to("dW", lambda la, dy: la.dz.T @ la.x),
    "dW without f'(z)": set_to("dW", lambda la, dy: la.x.T @ dy),
    "dW scaled by 1 + 1e-4": scale("dW", 1 + 1e-4),
    "dW averaged": set_to("dW", lambda la, dy: la.dW / len(dy)),
    "dW of the last example": set_to("dW", lambda la, dy: np.outer(la.x[-1], la.dz[-1])),
    "dW all zeros": scale("dW", 0),
    "db averaged": set_to("db", lambda la, dy: la.dz.mean(axis=0)),
    "db without f'(z)": set_to("db", lambda la, dy: dy.sum(axis=0)),
    "db summed over the units": set_to("db", lambda la, dy: la.dz.sum()),
    "db of the wrong sign": scale("db", -1),
    "dx without the transpose": lambda la, dy, dx: la.dz @ la.W,
    "dx without f'(z)": lambda la, dy, dx: dy @ la.W.T,
    "dx zero": lambda la, dy, dx: dx * 0,
    "dx scaled by 1 + 1e-4": lambda la, dy, dx: dx * (1 + 1e-4),
    "f' of y in the place of z": lambda la, dy, dx: (dy * la.activation.derivative(la.y)) @ la.W.T,
    "dy changed": change_dy,
}
ARGUMENTS = {
    f"Dense: {name}": lambda c=change: (after(Dense, c)(4, 4, "tanh"), (5, 4))
    for name, change in DENSE.items()
}
ARGUMENTS["Dense: accumulates"] = lambda: (Accumulating(4, 4, "tanh"), (5, 4))

for name, change in {
    "nothing is wrong": lambda la, dy, dx: dx,
    "mask ignored": lambda la, dy, dx: dy.copy(),
    "mask not scaled": lambda la, dy, dx: dy * (la.mask > 0),
    "mask of the others": lambda la, dy, dx: dy * (la.mask == 0),
    "mask twice": lambda la, dy, dx: dx * la.mask,
}.items():
    ARGUMENTS[f"Dropout: {name}"] = lambda c=change: (after(Dropout, c)(0.5), (6, 5))
ARGUMENTS["Dropout: another mask"] = lambda: (DropsAnew(0.5), (6, 5))

for name, change in {
    "nothing is wrong": lambda la, dy, dx: dx,
    "slopes ignored": lambda la, dy, dx: dy.copy(),
    "slopes of the mean": lambda la, dy, dx: np.where(la.x > 0, dy, la.f.alpha * dy),
    "slopes of the others": lambda la, dy, dx: (
        np.where(la.x > 0, dy, la.a[::-1] * dy) if np.ndim(la.a) else dx
    ),
    "slopes on the right": lambda la, dy, dx: la.a * dy,
    "slopes twice": lambda la, dy, dx: np.where(la.x > 0, dx, la.a * dx),
}.items():
    ARGUMENTS[f"RReLU: {name}"] = lambda c=change: (after(RReLU, c)(), (6, 5))
ARGUMENTS["RReLU: other slopes"] = lambda: (SlopesDrawnAnew(), (6, 5))

for name, change in {
    "nothing is wrong": lambda la, dy, dx: dx,
    "another order": lambda la, dy, dx: dy.reshape(la.x.shape, order="F"),
    "axes exchanged": lambda la, dy, dx: dx.swapaxes(1, 2),
    "examples exchanged": lambda la, dy, dx: dx[::-1],
}.items():
    ARGUMENTS[f"Flatten: {name}"] = lambda c=change: (after(Flatten, c)(), (2, 3, 3))


def scattered(layer):
    """The layer, built with distinct parameters: at γ = 1, β = 0, b = 0 errors hide."""
    layer.build(dtype="float64")
    rng = np.random.default_rng(3)
    for part in layer.walk():
        for value in part.parameters().values():
            value[...] = rng.normal(0.3, 0.7, value.shape)
    return layer


def per_channel(v):
    return v.sum(axis=(0, *range(2, v.ndim)))


def spread(p, like):
    return p.reshape(-1, *(1,) * (like.ndim - 2))


def slope(layer, dy):
    """γ / √(v + ε) of BatchNorm in training, from its input."""
    s = np.sqrt(layer.x.var(axis=(0, *range(2, dy.ndim))) + layer.epsilon)
    return spread(layer.gamma / s, dy)


def batch_norm_without(layer, dy, mean=1, variance=1):
    """dx without the path through the mean or the variance; in inference there is none."""
    if not layer.training:
        return dy * spread(layer.gamma / np.sqrt(layer.running_variance + layer.epsilon), dy)
    m = dy.size // layer.channels
    through_mean = mean * spread(layer.dbeta / m, dy)
    through_variance = variance * layer.x_hat * spread(layer.dgamma / m, dy)
    return slope(layer, dy) * (dy - through_mean - through_variance)


for name, change in {
    "nothing is wrong": lambda la, dy, dx: batch_norm_without(la, dy),
    "mean held constant": lambda la, dy, dx: batch_norm_without(la, dy, mean=0),
    "variance held constant": lambda la, dy, dx: batch_norm_without(la, dy, variance=0),
    "both, as in inference": lambda la, dy, dx: batch_norm_without(la, dy, mean=0, variance=0),
    "divided by N, not by m": lambda la, dy, dx: batch_norm_without(la, dy, 6, 6),
    "variance unbiased": lambda la, dy, dx: dx * np.sqrt(29 / 30) if la.training else dx,
    "γ left out": lambda la, dy, dx: dx / spread(la.gamma, dy),
    "dγ from x in the place of x̂": set_to("dgamma", lambda la, dy: per_channel(dy * la.x)),
    "dγ from y": set_to("dgamma", lambda la, dy: per_channel(dy * la.y)),
    "dγ averaged": set_to("dgamma", lambda la, dy: per_channel(dy * la.x_hat) / len(dy)),
    "dβ of one position": set_to("dbeta", lambda la, dy: dy[:, :, 0, 0].sum(axis=0)),
    "dβ scaled by γ": set_to("dbeta", lambda la, dy: la.dbeta * la.gamma),
    "dβ exchanged with dγ": set_to("dbeta", lambda la, dy: la.dgamma),
    "dy changed": change_dy,
}.items():
    ARGUMENTS[f"BatchNorm: {name}"] = lambda c=change: (
        scattered(after(BatchNorm, c)(4)),
        (5, 4, 2, 3),
    )

for name, change in {
    "nothing is wrong": lambda la, dy, dx: dx,
    "dα on the right side": set_to("dalpha", lambda la, dy: per_channel(dy * np.maximum(la.x, 0))),
    "dα without dy": set_to("dalpha", lambda la, dy: per_channel(np.minimum(la.x, 0))),
    "dα counts the left side": set_to("dalpha", lambda la, dy: per_channel(dy * (la.x < 0))),
    "dα shared by all": set_to("dalpha", lambda la, dy: la.dalpha.sum()),
    "α left out": lambda la, dy, dx: dy * (la.x > 0),
    "α of another channel": lambda la, dy, dx: np.where(
        la.x > 0, dy, spread(la.alpha[::-1], dy) * dy
    ),
    "sides exchanged": lambda la, dy, dx: np.where(la.x > 0, spread(la.alpha, dy), 1) * dy,
}.items():
    ARGUMENTS[f"PReLU: {name}"] = lambda c=change: (scattered(after(PReLU, c)(4)), (5, 4, 2, 2))


def gaps(layer):
    """b_s − x of every hinge, (S, N, C)."""
    return layer.b[:, None, :] - layer.x


for name, change in {
    "nothing is wrong": lambda la, dy, dx: dx,
    "da of the first hinge in all": set_to("da", lambda la, dy: la.da[:1]),
    "da on the other side": set_to("da", lambda la, dy: (dy * np.maximum(-gaps(la), 0)).sum(1)),
    "da counts": set_to("da", lambda la, dy: (dy * (gaps(la) > 0)).sum(1)),
    "db without a": set_to("db", lambda la, dy: (dy * (gaps(la) > 0)).sum(1)),
    "db of the wrong sign": scale("db", -1),
    "db everywhere": set_to("db", lambda la, dy: la.a * dy.sum(0)),
    "dx of the hinges with +": lambda la, dy, dx: 2 * dy * (la.x > 0) - dx,
    "dx without the hinges": lambda la, dy, dx: dy * (la.x > 0),
    "dx without the last hinge": lambda la, dy, dx: dx + dy * la.a[-1] * (gaps(la)[-1] > 0),
    "dx without max(0, x)": lambda la, dy, dx: dx - dy * (la.x > 0),
}.items():
    ARGUMENTS[f"APL: {name}"] = lambda c=change: (scattered(after(APL, c)(4, 3)), (9, 4))


def glue(layer, dvalue, dz):
    """dx from the gradients of the value half and of the gate half."""
    return np.concatenate([dz, dvalue] if layer.gate_first else [dvalue, dz], axis=1)


for cls in (GLU, SwiGLU):
    for name, change in {
        "nothing is wrong": lambda la, dy, dx: dx,
        "halves exchanged": lambda la, dy, dx: np.roll(dx, 3, axis=1),
        "gate held constant": lambda la, dy, dx: glue(la, dy * la.gate, dy * 0),
        "f' left out": lambda la, dy, dx: glue(la, dy * la.gate, dy * la._halves(la.x)[0]),
        "gate of y": lambda la, dy, dx: glue(la, dy * la.y, la._halves(dx)[1]),
        "scaled by 1 + 1e-4": lambda la, dy, dx: dx * (1 + 1e-4),
    }.items():
        ARGUMENTS[f"{cls.__name__}: {name}"] = lambda c=change, k=cls: (after(k, c)(), (5, 6))

for name, change in {
    "nothing is wrong": lambda la, dy, dx: dx,
    "f' left out": lambda la, dy, dx: dy.copy(),
    "f' of y in the place of z": lambda la, dy, dx: dy * la.activation.derivative(la.y),
}.items():
    ARGUMENTS[f"Activate: {name}"] = lambda c=change: (after(Activate, c)("tanh"), (5, 4))


def block(change):
    return after(Residual, change)([Dense(4, 4, "tanh"), Dense(4, 4)], [Dense(4, 4)])


for name, change in {
    "nothing is wrong": lambda la, dy, dx: dx,
    "shortcut left out": lambda la, dy, dx: la.branch.backward(dy).copy(),
    "branch left out": lambda la, dy, dx: la.shortcut.backward(dy).copy(),
    "identity in the place of the shortcut": lambda la, dy, dx: la.branch.backward(dy) + dy,
    "averaged": lambda la, dy, dx: dx / 2,
    "shortcut with the dx of the branch": lambda la, dy, dx: (
        la.branch.backward(dy) + la.shortcut.backward(la.branch.backward(dy))
    ),
}.items():
    ARGUMENTS[f"Residual: {name}"] = lambda c=change: (block(c), (5, 4))

for name, change in {
    "nothing is wrong": lambda la, dy, dx: dx,
    "f' left out": lambda la, dy, dx: la.branch.backward(dy) + dy,
    "f' left out in the branch": lambda la, dy, dx: la.branch.backward(dy) + la.dz,
    "f' left out in the shortcut": lambda la, dy, dx: la.branch.backward(la.dz) + dy,
    "f' twice in the shortcut": lambda la, dy, dx: (
        dx - la.dz + la.dz * la.activation.derivative(la.z)
    ),
    "f' of y in the place of z": lambda la, dy, dx: (
        la.branch.backward(d := dy * la.activation.derivative(la.y)) + d
    ),
    "f' of F alone": lambda la, dy, dx: (
        la.branch.backward(d := dy * la.activation.derivative(la.branch.y)) + d
    ),
}.items():
    ARGUMENTS[f"Residual with activation: {name}"] = lambda c=change: (
        after(Residual, c)([Dense(4, 3, "tanh"), Dense(3, 4)], activation="tanh"),
        (5, 4),
    )


def layer_norm_without(layer, dy, mean=1, variance=1):
    """dx without the path through the mean or the variance of the token."""
    dx_hat = layer.gamma * dy
    through_mean = mean * dx_hat.mean(-1, keepdims=True)
    through_variance = variance * layer.x_hat * (dx_hat * layer.x_hat).mean(-1, keepdims=True)
    return (dx_hat - through_mean - through_variance) / layer.s


for name, change in {
    "nothing is wrong": lambda la, dy, dx: layer_norm_without(la, dy),
    "mean held constant": lambda la, dy, dx: layer_norm_without(la, dy, mean=0),
    "variance held constant": lambda la, dy, dx: layer_norm_without(la, dy, variance=0),
    "variance unbiased": lambda la, dy, dx: dx * np.sqrt(3 / 4),
    "means over the sentence": lambda la, dy, dx: (
        (la.gamma * dy - (la.gamma * dy).mean((1, 2), keepdims=True)) / la.s
    ),
    "γ after the means": lambda la, dy, dx: (
        la.gamma
        * (
            (dy - dy.mean(-1, keepdims=True) - la.x_hat * (dy * la.x_hat).mean(-1, keepdims=True))
            / la.s
        )
    ),
    "dγ from x": set_to("dgamma", lambda la, dy: (dy * la.x).sum((0, 1))),
    "dγ of one token": set_to("dgamma", lambda la, dy: (dy * la.x_hat)[:, 0].sum(0)),
    "dβ averaged": set_to("dbeta", lambda la, dy: dy.mean((0, 1))),
    "dβ scaled by γ": set_to("dbeta", lambda la, dy: la.dbeta * la.gamma),
    "dy changed": change_dy,
}.items():
    ARGUMENTS[f"LayerNorm: {name}"] = lambda c=change: (
        scattered(after(LayerNorm, c)(4)),
        (3, 5, 4),
    )

TOKENS = np.array([[3, 1, 4, 1, 5], [2, 6, 0, 0, 0], [5, 3, 5, 0, 6]])


def last_one_wins(layer, dy):
    """A token that occurs twice keeps only the gradient of its last position."""
    dW = np.zeros_like(layer.W)
    dW[layer.x] = dy
    return dW


for name, change in {
    "nothing is wrong": lambda la, dy, dx: dx,
    "a token that comes twice is added once": set_to("dW", last_one_wins),
    "padding left out": set_to("dW", lambda la, dy: la.dW * (np.arange(7) != 0)[:, None]),
    "averaged over the places": set_to(
        "dW",
        lambda la, dy: la.dW / np.maximum(np.bincount(la.x.ravel(), minlength=7), 1)[:, None],
    ),
    "of the first sentence": set_to(
        "dW", lambda la, dy: np.eye(7)[la.x[0]].T @ dy[0].reshape(-1, 4)
    ),
    "a gradient for tokens, of ones": set_to("dW", lambda la, dy: np.ones_like(la.W)),
}.items():
    ARGUMENTS[f"Embedding: {name}"] = lambda c=change: (after(Embedding, c)(7, 4, 0), TOKENS)

for name, change in {
    "nothing is wrong": lambda la, dy, dx: dx,
    "averaged over the batch": set_to("dW", lambda la, dy: la.dW / len(dy)),
    "of the first sentence": set_to("dW", lambda la, dy: np.pad(dy[0], ((0, 2), (0, 0)))),
    "shifted by a place": set_to("dW", lambda la, dy: np.roll(la.dW, 1, axis=0)),
    "dx left out": lambda la, dy, dx: dx * 0,
}.items():
    ARGUMENTS[f"PositionEmbedding: {name}"] = lambda c=change: (
        after(PositionEmbedding, c)(7, 4),
        (3, 5, 4),
    )

for name, change in {
    "nothing is wrong": lambda la, dy, dx: dx,
    "to all tokens": lambda la, dy, dx: np.repeat(dy[:, None], 5, axis=1),
    "to the last token": lambda la, dy, dx: dx[:, ::-1],
}.items():
    ARGUMENTS[f"FirstToken: {name}"] = lambda c=change: (after(FirstToken, c)(), (3, 5, 4))


class Mask:
    mask = np.array([[True, True, False, True, False]])


def attention(dS=None, after_softmax=None):
    """SelfAttention whose backward is written out again, so that its steps can be changed."""

    class Mutant(SelfAttention):
        def backward(self, dy, input_gradient=True):
            k = self.features // self.heads
            dO = self._cut(self.output.backward(dy))
            given = {"dV": np.einsum("nhij,nhik->nhjk", self.A, dO)}
            dP = self.dropout.backward(np.einsum("nhik,nhjk->nhij", dO, self.V))
            dS_ = (
                self.P * (dP - (dP * self.P).sum(-1, keepdims=True)) if dS is None else dS(self, dP)
            )
            given["dQ"] = np.einsum("nhij,nhjk->nhik", dS_, self.K) / np.sqrt(k)
            given["dK"] = np.einsum("nhij,nhik->nhjk", dS_, self.Q) / np.sqrt(k)
            given |= after_softmax(self, given, dS_, dO) if after_softmax else {}
            dx = [
                part.backward(d.swapaxes(1, 2).reshape(dy.shape))
                for part, d in zip(
                    (self.query, self.key, self.value),
                    (given["dQ"], given["dK"], given["dV"]),
                    strict=True,
                )
            ]
            return sum(dx) if input_gradient else None

    Mutant.__name__ = "SelfAttention"
    return Mutant(6, 2, 0.3, Mask())


for name, options in {
    "nothing is wrong": {},
    "softmax element by element": {"dS": lambda la, dP: dP * la.P * (1 - la.P)},
    "the sum over j left out": {"dS": lambda la, dP: dP * la.P},
    "the sum over i": {"dS": lambda la, dP: la.P * (dP - (dP * la.P).sum(-2, keepdims=True))},
    "the mean over j": {"dS": lambda la, dP: la.P * (dP - (dP * la.P).mean(-1, keepdims=True))},
    "heads added up": {"dS": lambda la, dP: la.P * (dP - (dP * la.P).sum((1, -1), keepdims=True))},
    "padding gets a gradient": {
        "dS": lambda la, dP: la.P * (dP - (dP * la.P).sum(-1, keepdims=True)) + 1e-3 * (la.P == 0)
    },
    "dS of zeros": {"dS": lambda la, dP: dP * 0},
    "1/√k left out": {"after_softmax": lambda la, g, dS, dO: {"dQ": g["dQ"] * np.sqrt(3)}},
    "dK without the transpose": {
        "after_softmax": lambda la, g, dS, dO: {"dK": dS @ la.Q / np.sqrt(3)}
    },
    "dQ and dK exchanged": {"after_softmax": lambda la, g, dS, dO: {"dQ": g["dK"], "dK": g["dQ"]}},
    "dV without dropout": {"after_softmax": lambda la, g, dS, dO: {"dV": la.P.swapaxes(2, 3) @ dO}},
    "dV without the transpose": {"after_softmax": lambda la, g, dS, dO: {"dV": la.A @ dO}},
    "a gradient of the key bias of 1e-6": {
        "after_softmax": lambda la, g, dS, dO: {"dK": g["dK"] + 1e-6}
    },
}.items():
    ARGUMENTS[f"SelfAttention: {name}"] = lambda o=options: (
        scattered(attention(**o)),
        (3, 5, 6),
    )

for name, change in {
    "nothing is wrong": lambda la, dy, dx: dx,
    "attention left out": lambda la, dy, dx: la.norm_1.backward(
        la.norm_2.backward(dy) + la._dF(la.norm_2.backward(dy))
    ),
    "shortcut left out": lambda la, dy, dx: (
        dx - la.norm_1.backward(la.norm_2.backward(dy) + la._dF(la.norm_2.backward(dy)))
    ),
    "dy past the norms": lambda la, dy, dx: dx + dy,
    "key bias of 1e-6": lambda la, dy, dx: (
        np.add(la.attention.key.db, 1e-6, out=la.attention.key.db),
        dx,
    )[1],
}.items():
    ARGUMENTS[f"EncoderBlock: {name}"] = lambda c=change: (
        scattered(after(EncoderBlock, c)(6, 2, 8)),
        (3, 5, 6),
    )


def columns(layer, dy):
    """The pixels under a 3x3 kernel (N, C, down, across, 3, 3), and dz."""
    x = np.lib.stride_tricks.sliding_window_view(layer.x, (3, 3), axis=(2, 3))
    return x, layer.dz


CONV = {
    "nothing is wrong": lambda la, dy, dx: dx,
    "dW computed anew, nothing is wrong": set_to(
        "dW", lambda la, dy: np.einsum("ncrsij,nors->ocij", *columns(la, dy))
    ),
    "dW without f'(z)": set_to(
        "dW", lambda la, dy: np.einsum("ncrsij,nors->ocij", columns(la, dy)[0], dy)
    ),
    "dW with the kernel turned": set_to("dW", lambda la, dy: la.dW[:, :, ::-1, ::-1].copy()),
    "dW with rows and columns exchanged": set_to("dW", lambda la, dy: la.dW.swapaxes(2, 3).copy()),
    "dW with the channels exchanged": set_to("dW", lambda la, dy: la.dW[:, ::-1].copy()),
    "dW of the last row of places": set_to(
        "dW",
        lambda la, dy: np.einsum("ncsij,nos->ocij", *(a[:, :, -1] for a in columns(la, dy))),
    ),
    "dW averaged over the places": scale("dW", 1 / 9),
    "dW of the last example": set_to(
        "dW", lambda la, dy: np.einsum("crsij,ors->ocij", *(a[-1] for a in columns(la, dy)))
    ),
    "dW scaled by 1 + 1e-4": scale("dW", 1 + 1e-4),
    "db of the first place": set_to("db", lambda la, dy: la.dz[:, :, 0, 0].sum(axis=0)),
    "db without f'(z)": set_to("db", lambda la, dy: dy.sum(axis=(0, 2, 3))),
    "db averaged over the places": scale("db", 1 / 9),
    "dx with the kernel turned": lambda la, dy, dx: dx[:, :, ::-1, ::-1],
    "dx with rows and columns exchanged": lambda la, dy, dx: dx.swapaxes(2, 3),
    "dx with the channels exchanged": lambda la, dy, dx: dx[:, ::-1],
    "dx shifted by a pixel": lambda la, dy, dx: np.roll(dx, 1, axis=3),
    "dx zero at the edge": lambda la, dy, dx: dx * (np.arange(5) > 0),
    "dx with every window alone": lambda la, dy, dx: dx / 2,
    "dy changed": change_dy,
}
for name, change in CONV.items():
    ARGUMENTS[f"Conv2D: {name}"] = lambda c=change: (
        after(Conv2D, c)(2, 3, 3, activation="tanh"),
        (3, 2, 5, 5),
    )
for name, change in {
    "nothing is wrong": lambda la, dy, dx: dx,
    "dx shifted by the padding": lambda la, dy, dx: np.roll(dx, 1, axis=2),
    "dx zero beside the border": lambda la, dy, dx: dx * (np.arange(5) < 4),
    "dW zero where the kernel is on the border": scale("dW", np.arange(3) > 0),
}.items():
    ARGUMENTS[f"Conv2D with stride and padding: {name}"] = lambda c=change: (
        after(Conv2D, c)(2, 3, 3, 2, 1, "tanh"),
        (3, 2, 5, 5),
    )


for name in (name for name in CONV if not name.startswith("db")):
    ARGUMENTS[f"Conv2D without bias: {name}"] = lambda c=CONV[name]: (
        after(Conv2D, c)(2, 3, 3, activation="tanh", biases=None),
        (3, 2, 5, 5),
    )


class ForgetsAPiece(Conv2D):
    """Its dW leaves out the first row of positions."""

    def backward(self, dy, input_gradient=True):
        dx = super().backward(dy, input_gradient)
        x, dz = (a[:, :, :1] for a in columns(self, dy))
        self.dW -= np.einsum("ncrsij,nors->ocij", x, dz)
        return dx


ARGUMENTS["Conv2D: a row of places forgotten"] = lambda: (ForgetsAPiece(2, 3, 3), (3, 2, 5, 5))


def windows(layer, *arrays):
    """Views of the arrays under each offset (r, s) in the windows of a pool, (N, C, h, w) each."""
    (height, width), (down, across) = layer.windows.size, layer.windows.stride
    for r, s in np.ndindex(layer.y.shape[2:]):
        rows = slice(down * r, down * r + height)
        yield (r, s), *(a[:, :, rows, across * s : across * s + width] for a in arrays)


def overlaps_overwritten(layer, dy, dx):
    """A pixel under several windows keeps only the gradient of the last one."""
    dx = np.zeros_like(layer.x)
    for (r, s), x, dx_k in windows(layer, layer.x, dx):
        largest = x == layer.y[:, :, r : r + 1, s : s + 1]
        np.copyto(dx_k, dy[:, :, r : r + 1, s : s + 1], where=largest)
    return dx


def spread_evenly(layer, dy, dx):
    dx = np.zeros_like(layer.x)
    for (r, s), dx_k in windows(layer, dx):
        dx_k += dy[:, :, r : r + 1, s : s + 1] / dx_k[0, 0].size
    return dx


for name, make in {
    "nothing is wrong": lambda: after(MaxPool2D, lambda la, dy, dx: dx)(3, 2),
    "overlaps overwritten": lambda: after(MaxPool2D, overlaps_overwritten)(3, 1),
    "spread evenly": lambda: after(MaxPool2D, spread_evenly)(3, 2),
    "to the mirrored pixel": lambda: after(MaxPool2D, lambda la, dy, dx: dx[:, :, ::-1])(3, 2),
    "rows and columns exchanged": lambda: after(MaxPool2D, lambda la, dy, dx: dx.swapaxes(2, 3))(
        3, 2
    ),
    "examples exchanged": lambda: after(MaxPool2D, lambda la, dy, dx: dx[::-1])(3, 2),
    "channels exchanged": lambda: after(MaxPool2D, lambda la, dy, dx: dx[:, ::-1])(3, 2),
    "dy changed": lambda: after(MaxPool2D, change_dy)(3, 2),
}.items():
    ARGUMENTS[f"MaxPool2D: {name}"] = lambda m=make: (m(), (3, 2, 7, 7))

for make in (
    lambda change: after(AveragePool2D, change)(3, 2),
    lambda change: after(GlobalAveragePool2D, change)(),
):
    for name, change in {
        "nothing is wrong": lambda la, dy, dx: dx,
        "sum in the place of the mean": lambda la, dy, dx: dx * 9,
        "zero at the edge": lambda la, dy, dx: dx * (np.arange(7) > 0),
        "channels exchanged": lambda la, dy, dx: dx[:, ::-1],
        "examples exchanged": lambda la, dy, dx: dx[::-1],
        "dy changed": change_dy,
    }.items():
        kind = type(make(change)).__name__
        ARGUMENTS[f"{kind}: {name}"] = lambda c=change, m=make: (m(c), (3, 2, 7, 7))
ARGUMENTS["AveragePool2D: overlaps counted once"] = lambda: (
    after(AveragePool2D, lambda la, dy, dx: np.minimum(dx, dx[:, :, :1, :1]))(3, 2),
    (3, 2, 7, 7),
)


def perturbed(cls, change):
    """The function with ``change(z, d)`` in place of its derivative d."""

    class Mutant(cls):
        backward = Activation.backward  # linear's own does not need its slope

        def slope(self, z, y):
            return change(z, super().slope(z, y).astype(z.dtype))

    return Mutant()


for name, cls in ACTIVATIONS.items():
    if cls.elementwise:
        for wrong, change in {
            "nothing is wrong": lambda z, d: d,
            "f' scaled by 1 + 1e-5": lambda z, d: d * (1 + 1e-5),
            "f' less 1e-5": lambda z, d: d - 1e-5,
            "f' = 1": lambda z, d: d * 0 + (0.5 if d.min() == 1 else 1),
            "f' wrong in the right tail": lambda z, d: d + 1e-3 * (z > 1),
        }.items():
            if name == "binary_step" and "scaled" in wrong:
                continue  # 0 scaled is 0
            ARGUMENTS[f"{name}: {wrong}"] = lambda c=cls, w=change: (perturbed(c, w), (6, 5))


def softmax(backward):
    mutant = type("Mutant", (ACTIVATIONS["softmax"],), {"backward": staticmethod(backward)})
    return mutant()


for name, backward in {
    "nothing is wrong": lambda dy, z, y: get_activation("softmax").backward(dy, z, y),
    "zeros": lambda dy, z, y: y * 0,
    "only the diagonal": lambda dy, z, y: dy * y * (1 - y),
    "⟨dy, y⟩ left out": lambda dy, z, y: dy * y,
    "⟨dy, y⟩ averaged": lambda dy, z, y: y * (dy - (dy * y).mean(-1, keepdims=True)),
    "summed over the batch": lambda dy, z, y: y * (dy - (dy * y).sum(0)),
}.items():
    ARGUMENTS[f"softmax: {name}"] = lambda b=backward: (softmax(b), (4, 5))


def loss_with(loss_class, change):
    """The loss with ``change(dlogits, logits, targets)`` in place of its gradient."""

    def loss(logits, targets):
        value, dlogits = loss_class()(logits, targets)
        return value, change(dlogits, logits, targets)

    return loss


ONE_HOT = np.eye(4)[LABELS]
FLOATS = np.random.default_rng(0).random((5, 4))
for cls, targets in (
    (SoftmaxCrossEntropy, LABELS),
    (MeanSquaredError, FLOATS),
    (BinaryCrossEntropy, FLOATS),
):
    for name, change in {
        "nothing is wrong": lambda d, z, t: d,
        "1/N left out": lambda d, z, t: d * len(z),
        "1/N twice": lambda d, z, t: d / len(z),
        "sign": lambda d, z, t: -d,
        "zeros": lambda d, z, t: d * 0,
        "targets left out": lambda d, z, t: d + (ONE_HOT if t.ndim == 1 else t) / t.size,
        "scaled by 1 + 1e-5": lambda d, z, t: d * (1 + 1e-5),
        "of another example": lambda d, z, t: d[::-1],
    }.items():
        ARGUMENTS[f"{cls.name}: {name}"] = lambda c=cls, w=change, t=targets: (
            loss_with(c, w),
            (5, 4),
            t,
        )
