"""Layers, activation functions and losses with planted errors, by kind.

``PLANTED[kind].make(change)`` is what ``check_gradients`` takes, ``.errors`` the changes that make
it wrong, ``.right`` those that leave it right.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import minidl as ml
from minidl.activations import Activation

LABELS = np.array([0, 3, 1, 1, 2])


class Kind(NamedTuple):
    make: Callable[[Any], tuple]
    errors: dict[str, Any]
    right: tuple[Any, ...]


PLANTED: dict[str, Kind] = {}


def plant(kind, make, errors, *right):
    """Without ``right``, only the unchanged piece is right."""
    PLANTED[kind] = Kind(make, errors, right or (lambda layer, dy, dx: dx,))


def after(cls, change):
    """The class with ``change(layer, dy, dx)`` run after backward; its result is the new dx."""

    class Mutant(cls):
        def backward(self, dy, input_gradient=True):
            return change(self, dy, super().backward(dy, True))

    Mutant.__name__ = cls.__name__
    return Mutant


def scale(attribute, factor):
    """Multiply a gradient after the correct backward."""
    return set_to(attribute, lambda layer, dy: getattr(layer, attribute) * factor)


def set_to(attribute, value):
    """Overwrite a gradient after the correct backward."""

    def change(layer, dy, dx):
        getattr(layer, attribute)[...] = value(layer, dy)
        return dx

    return change


def change_dy(layer, dy, dx):
    dy *= 2
    return dx


def scattered(layer):
    """The layer, built with distinct parameters: at γ = 1, β = 0, b = 0 errors hide."""
    layer.build(dtype="float64")
    rng = np.random.default_rng(3)
    for part in layer.walk():
        for value in part.parameters().values():
            value[...] = rng.normal(0.3, 0.7, value.shape)
    return layer


# -- features ---------------------------------------------------------------------------------


class Accumulating(ml.Dense):
    def backward(self, dy, input_gradient=True):
        before = self.dW.copy()
        dx = super().backward(dy, input_gradient)
        self.dW += before
        return dx


errors = {
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
plant("Dense", lambda change: (after(ml.Dense, change)(4, 4, "tanh"), (5, 4)), errors)
errors = {
    "mask ignored": lambda la, dy, dx: dy.copy(),
    "mask not scaled": lambda la, dy, dx: dy * (la.mask > 0),
    "mask of the others": lambda la, dy, dx: dy * (la.mask == 0),
    "mask twice": lambda la, dy, dx: dx * la.mask,
    "another mask": lambda la, dy, dx: dy * (la.rng.random(dy.shape) >= 0.5) / 0.5,
}
plant("Dropout", lambda change: (after(ml.Dropout, change)(0.5), (6, 5)), errors)
errors = {
    "slopes ignored": lambda la, dy, dx: dy.copy(),
    "slopes of the mean": lambda la, dy, dx: np.where(la.x > 0, dy, la.f.alpha * dy),
    "slopes of the others": lambda la, dy, dx: (
        np.where(la.x > 0, dy, la.a[::-1] * dy) if np.ndim(la.a) else dx
    ),
    "slopes on the right": lambda la, dy, dx: la.a * dy,
    "slopes twice": lambda la, dy, dx: np.where(la.x > 0, dx, la.a * dx),
    "other slopes": lambda la, dy, dx: (
        np.where(la.x > 0, dy, la._draw_slopes(la.x) * dy) if np.ndim(la.a) else dx
    ),
}
plant("RReLU", lambda change: (after(ml.RReLU, change)(), (6, 5)), errors)
errors = {
    "another order": lambda la, dy, dx: dy.reshape(la.x.shape, order="F"),
    "axes exchanged": lambda la, dy, dx: dx.swapaxes(1, 2),
    "examples exchanged": lambda la, dy, dx: dx[::-1],
}
plant("Flatten", lambda change: (after(ml.Flatten, change)(), (2, 3, 3)), errors)
errors = {
    "f' left out": lambda la, dy, dx: dy.copy(),
    "f' of y in the place of z": lambda la, dy, dx: dy * la.activation.derivative(la.y),
}
plant("ActivationLayer", lambda change: (after(ml.ActivationLayer, change)("tanh"), (5, 4)), errors)


def glue(layer, dvalue, dz):
    """dx from the gradients of the value half and of the gate half."""
    return np.concatenate([dz, dvalue] if layer.gate_first else [dvalue, dz], axis=1)


for gated in (ml.GLU, ml.SwiGLU):
    errors = {
        "halves exchanged": lambda la, dy, dx: np.roll(dx, 3, axis=1),
        "gate held constant": lambda la, dy, dx: glue(la, dy * la.gate, dy * 0),
        "f' left out": lambda la, dy, dx: glue(la, dy * la.gate, dy * la._halves(la.x)[0]),
        "gate of y": lambda la, dy, dx: glue(la, dy * la.y, la._halves(dx)[1]),
        "scaled by 1 + 1e-4": lambda la, dy, dx: dx * (1 + 1e-4),
    }
    plant(gated.__name__, lambda change, cls=gated: (after(cls, change)(), (5, 6)), errors)

# -- channels ---------------------------------------------------------------------------------


def per_channel(v):
    return v.sum(axis=(0, *range(2, v.ndim)))


def spread(p, like):
    return p.reshape(-1, *(1,) * (like.ndim - 2))


def batch_norm_without(layer, dy, mean=1, variance=1):
    """dx without the path through the mean or the variance; in inference there is none."""
    m = dy.size // layer.channels
    v = layer.x.var(axis=(0, 2, 3)) if layer.training else layer.running_variance
    through_mean = mean * layer.training * spread(layer.dbeta / m, dy)
    through_variance = variance * layer.training * layer.x_hat * spread(layer.dgamma / m, dy)
    slope = spread(layer.gamma / np.sqrt(v + layer.epsilon), dy)
    return slope * (dy - through_mean - through_variance)


errors = {
    "mean held constant": lambda la, dy, dx: batch_norm_without(la, dy, mean=0),
    "variance held constant": lambda la, dy, dx: batch_norm_without(la, dy, variance=0),
    "both, as in inference": lambda la, dy, dx: batch_norm_without(la, dy, 0, 0),
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
}
plant(
    "BatchNorm",
    lambda change: (scattered(after(ml.BatchNorm, change)(4)), (5, 4, 2, 3)),
    errors,
    lambda la, dy, dx: batch_norm_without(la, dy),
)
errors = {
    "dα on the right side": set_to("dalpha", lambda la, dy: per_channel(dy * np.maximum(la.x, 0))),
    "dα without dy": set_to("dalpha", lambda la, dy: per_channel(np.minimum(la.x, 0))),
    "dα counts the left side": set_to("dalpha", lambda la, dy: per_channel(dy * (la.x < 0))),
    "dα shared by all": set_to("dalpha", lambda la, dy: la.dalpha.sum()),
    "α left out": lambda la, dy, dx: dy * (la.x > 0),
    "α of another channel": lambda la, dy, dx: (
        np.where(la.x > 0, 1, spread(la.alpha[::-1], dy)) * dy
    ),
    "sides exchanged": lambda la, dy, dx: np.where(la.x > 0, spread(la.alpha, dy), 1) * dy,
}
plant("PReLU", lambda change: (scattered(after(ml.PReLU, change)(4)), (5, 4, 2, 2)), errors)


def gaps(layer):
    """b_s − x of every hinge, (S, N, C)."""
    return layer.b[:, None, :] - layer.x


errors = {
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
}
plant("APL", lambda change: (scattered(after(ml.APL, change)(4, 3)), (9, 4)), errors)

# -- blocks -----------------------------------------------------------------------------------


errors = {
    "shortcut left out": lambda la, dy, dx: la.branch.backward(dy).copy(),
    "branch left out": lambda la, dy, dx: la.shortcut.backward(dy).copy(),
    "identity in the place of the shortcut": lambda la, dy, dx: la.branch.backward(dy) + dy,
    "averaged": lambda la, dy, dx: dx / 2,
    "shortcut with the dx of the branch": lambda la, dy, dx: (
        la.branch.backward(dy) + la.shortcut.backward(la.branch.backward(dy))
    ),
}
plant(
    "Residual",
    lambda change: (
        after(ml.Residual, change)([ml.Dense(4, 4, "tanh"), ml.Dense(4, 4)], [ml.Dense(4, 4)]),
        (5, 4),
    ),
    errors,
)


def f_prime_of(value):
    """The block with f' of ``value(layer)`` in the place of z."""

    def change(layer, dy, dx):
        dz = dy * layer.activation.derivative(value(layer))
        return layer.branch.backward(dz) + dz

    return change


errors = {
    "f' left out": lambda la, dy, dx: la.branch.backward(dy) + dy,
    "f' left out in the branch": lambda la, dy, dx: la.branch.backward(dy) + la.dz,
    "f' left out in the shortcut": lambda la, dy, dx: la.branch.backward(la.dz) + dy,
    "f' twice in the shortcut": lambda la, dy, dx: (
        dx - la.dz + la.dz * la.activation.derivative(la.z)
    ),
    "f' of y in the place of z": f_prime_of(lambda la: la.y),
    "f' of F alone": f_prime_of(lambda la: la.branch.y),
}
plant(
    "Residual with activation",
    lambda change: (
        after(ml.Residual, change)([ml.Dense(4, 3, "tanh"), ml.Dense(3, 4)], activation="tanh"),
        (5, 4),
    ),
    errors,
    f_prime_of(lambda la: la.z),
)

# -- tokens -----------------------------------------------------------------------------------


def layer_norm_without(layer, dy, mean=1, variance=1, axes=-1):
    """dx without the path through the mean or the variance of the token."""
    dx_hat = layer.gamma * dy
    through_mean = mean * dx_hat.mean(axes, keepdims=True)
    through_variance = variance * layer.x_hat * (dx_hat * layer.x_hat).mean(-1, keepdims=True)
    return (dx_hat - through_mean - through_variance) / layer.s


errors = {
    "mean held constant": lambda la, dy, dx: layer_norm_without(la, dy, mean=0),
    "variance held constant": lambda la, dy, dx: layer_norm_without(la, dy, variance=0),
    "variance unbiased": lambda la, dy, dx: dx * np.sqrt(3 / 4),
    "means over the sentence": lambda la, dy, dx: layer_norm_without(la, dy, 1, 0, (1, 2)),
    "γ after the means": lambda la, dy, dx: la.gamma * layer_norm_without(la, dy / la.gamma, 1, 1),
    "dγ from x": set_to("dgamma", lambda la, dy: (dy * la.x).sum((0, 1))),
    "dγ of one token": set_to("dgamma", lambda la, dy: (dy * la.x_hat)[:, 0].sum(0)),
    "dβ averaged": set_to("dbeta", lambda la, dy: dy.mean((0, 1))),
    "dβ scaled by γ": set_to("dbeta", lambda la, dy: la.dbeta * la.gamma),
    "dy changed": change_dy,
}
plant(
    "LayerNorm",
    lambda change: (scattered(after(ml.LayerNorm, change)(4)), (3, 5, 4)),
    errors,
    lambda la, dy, dx: layer_norm_without(la, dy),
)

TOKENS = np.array([[3, 1, 4, 1, 5], [2, 6, 0, 0, 0], [5, 3, 5, 0, 6]])


def last_one_wins(layer, dy):
    """A token that occurs twice keeps only the gradient of its last position."""
    dW = np.zeros_like(layer.W)
    dW[layer.x] = dy
    return dW


errors = {
    "a token that comes twice is added once": set_to("dW", last_one_wins),
    "padding left out": scale("dW", (np.arange(7) != 0)[:, None]),
    "averaged over the places": set_to(
        "dW",
        lambda la, dy: la.dW / np.maximum(np.bincount(la.x.ravel(), minlength=7), 1)[:, None],
    ),
    "of the first sentence": set_to(
        "dW", lambda la, dy: np.eye(7)[la.x[0]].T @ dy[0].reshape(-1, 4)
    ),
    "a gradient for tokens, of ones": set_to("dW", lambda la, dy: np.ones_like(la.W)),
}
plant("Embedding", lambda change: (after(ml.Embedding, change)(7, 4, 0), TOKENS), errors)
errors = {
    "averaged over the batch": set_to("dW", lambda la, dy: la.dW / len(dy)),
    "of the first sentence": set_to("dW", lambda la, dy: np.pad(dy[0], ((0, 2), (0, 0)))),
    "shifted by a place": set_to("dW", lambda la, dy: np.roll(la.dW, 1, axis=0)),
    "dx left out": lambda la, dy, dx: dx * 0,
}
plant(
    "PositionEmbedding",
    lambda change: (after(ml.PositionEmbedding, change)(7, 4), (3, 5, 4)),
    errors,
)
errors = {
    "to all tokens": lambda la, dy, dx: np.repeat(dy[:, None], 5, axis=1),
    "to the last token": lambda la, dy, dx: dx[:, ::-1],
}
plant("FirstToken", lambda change: (after(ml.FirstToken, change)(), (3, 5, 4)), errors)


class Mask:
    mask = np.array([[True, True, False, True, False]])


def softmax_gradient(P, dP):
    return P * (dP - (dP * P).sum(-1, keepdims=True))


def attention(change):
    """SelfAttention whose backward is written out again; ``change`` replaces some of its steps."""

    class Mutant(ml.SelfAttention):
        def backward(self, dy, input_gradient=True):
            dO = self._cut(self.output.backward(dy))
            dP = self.dropout.backward(np.einsum("nhik,nhjk->nhij", dO, self.V))
            dS = change.get("dS", softmax_gradient)(self.P, dP)
            given = {
                "dQ": np.einsum("nhij,nhjk->nhik", dS, self.K) / 3**0.5,
                "dK": np.einsum("nhij,nhik->nhjk", dS, self.Q) / 3**0.5,
                "dV": np.einsum("nhij,nhik->nhjk", self.A, dO),
            }
            for name in {"dQ", "dK", "dV"} & set(change):
                given[name] = change[name](self, given, dS, dO)
            maps = (self.query, "dQ"), (self.key, "dK"), (self.value, "dV")
            dx = [m.backward(given[d].swapaxes(1, 2).reshape(dy.shape)) for m, d in maps]
            return sum(dx) if input_gradient else None

    Mutant.__name__ = "SelfAttention"
    return Mutant(6, 2, 0.3, Mask())


errors = {
    "softmax element by element": {"dS": lambda P, dP: dP * P * (1 - P)},
    "the sum over j left out": {"dS": lambda P, dP: dP * P},
    "the sum over i": {"dS": lambda P, dP: P * (dP - (dP * P).sum(-2, keepdims=True))},
    "the mean over j": {"dS": lambda P, dP: P * (dP - (dP * P).mean(-1, keepdims=True))},
    "heads added up": {"dS": lambda P, dP: P * (dP - (dP * P).sum((1, -1), keepdims=True))},
    "padding gets a gradient": {"dS": lambda P, dP: softmax_gradient(P, dP) + 1e-3 * (P == 0)},
    "dS of zeros": {"dS": lambda P, dP: dP * 0},
    "1/√k left out": {"dQ": lambda la, g, dS, dO: g["dQ"] * 3**0.5},
    "dK without the transpose": {"dK": lambda la, g, dS, dO: dS @ la.Q / 3**0.5},
    "dQ and dK exchanged": {
        "dQ": lambda la, g, dS, dO: np.einsum("nhij,nhik->nhjk", dS, la.Q) / 3**0.5,
        "dK": lambda la, g, dS, dO: dS @ la.K / 3**0.5,
    },
    "dV without dropout": {"dV": lambda la, g, dS, dO: la.P.swapaxes(2, 3) @ dO},
    "dV without the transpose": {"dV": lambda la, g, dS, dO: la.A @ dO},
    "a gradient of the key bias of 1e-6": {"dK": lambda la, g, dS, dO: g["dK"] + 1e-6},
}
plant("SelfAttention", lambda change: (scattered(attention(change)), (3, 5, 6)), errors, {})


def key_bias(layer, dy, dx):
    layer.attention.key.db += 1e-6
    return dx


def past_attention(layer, dy):
    dF = layer.norm_2.backward(dy)
    return layer.norm_1.backward(dF + layer._dF(dF))


errors = {
    "attention left out": lambda la, dy, dx: past_attention(la, dy),
    "shortcut left out": lambda la, dy, dx: dx - past_attention(la, dy),
    "dy past the norms": lambda la, dy, dx: dx + dy,
    "key bias of 1e-6": key_bias,
}
plant(
    "EncoderBlock",
    lambda change: (scattered(after(ml.EncoderBlock, change)(6, 2, 8)), (3, 5, 6)),
    errors,
)

# -- images -----------------------------------------------------------------------------------


def dW_of(where):
    """dW from the pixels under a 3x3 kernel (N, C, down, across, 3, 3) and dz, both cut."""

    def value(layer, dy):
        x = np.lib.stride_tricks.sliding_window_view(layer.x, (3, 3), axis=(2, 3))
        return np.einsum("ncrsij,nors->ocij", x[where], layer.dz[where])

    return value


def dW_without_slope(layer, dy):
    x = np.lib.stride_tricks.sliding_window_view(layer.x, (3, 3), axis=(2, 3))
    return np.einsum("ncrsij,nors->ocij", x, dy)


CONV = {
    "dW without f'(z)": set_to("dW", dW_without_slope),
    "dW with the kernel turned": set_to("dW", lambda la, dy: la.dW[:, :, ::-1, ::-1].copy()),
    "dW with rows and columns exchanged": set_to("dW", lambda la, dy: la.dW.swapaxes(2, 3).copy()),
    "dW with the channels exchanged": set_to("dW", lambda la, dy: la.dW[:, ::-1].copy()),
    "dW of the last row of places": set_to("dW", dW_of(np.s_[:, :, -1:])),
    "dW without a row of places": set_to("dW", dW_of(np.s_[:, :, 1:])),
    "dW averaged over the places": scale("dW", 1 / 9),
    "dW of the last example": set_to("dW", dW_of(np.s_[-1:])),
    "dW scaled by 1 + 1e-4": scale("dW", 1 + 1e-4),
    "dx with the kernel turned": lambda la, dy, dx: dx[:, :, ::-1, ::-1],
    "dx with rows and columns exchanged": lambda la, dy, dx: dx.swapaxes(2, 3),
    "dx with the channels exchanged": lambda la, dy, dx: dx[:, ::-1],
    "dx shifted by a pixel": lambda la, dy, dx: np.roll(dx, 1, axis=3),
    "dx zero at the edge": lambda la, dy, dx: dx * (np.arange(5) > 0),
    "dx with every window alone": lambda la, dy, dx: dx / 2,
    "dy changed": change_dy,
}
CONV_BIAS = {
    "db of the first place": set_to("db", lambda la, dy: la.dz[:, :, 0, 0].sum(axis=0)),
    "db without f'(z)": set_to("db", lambda la, dy: dy.sum(axis=(0, 2, 3))),
    "db averaged over the places": scale("db", 1 / 9),
}
plant(
    "Conv2D",
    lambda change: (after(ml.Conv2D, change)(2, 3, 3, activation="tanh"), (3, 2, 5, 5)),
    CONV | CONV_BIAS,
    set_to("dW", dW_of(np.s_[:])),
)
plant(
    "Conv2D without bias",
    lambda change: (after(ml.Conv2D, change)(2, 3, 3, 1, 0, "tanh", biases=None), (3, 2, 5, 5)),
    CONV,
)
errors = {
    "dx shifted by the padding": lambda la, dy, dx: np.roll(dx, 1, axis=2),
    "dx zero beside the border": lambda la, dy, dx: dx * (np.arange(5) < 4),
    "dW zero where the kernel is on the border": scale("dW", np.arange(3) > 0),
}
plant(
    "Conv2D with stride and padding",
    lambda change: (after(ml.Conv2D, change)(2, 3, 3, 2, 1, "tanh"), (3, 2, 5, 5)),
    errors,
)


def windows(layer, *arrays):
    """Views of the arrays under each offset (r, s) in the windows of a pool, (N, C, h, w) each."""
    (height, width), (down, across) = layer.windows.size, layer.windows.stride
    for r, s in np.ndindex(layer.y.shape[2:]):
        rows = slice(down * r, down * r + height)
        yield (
            np.s_[:, :, r : r + 1, s : s + 1],
            *(a[:, :, rows, across * s : across * s + width] for a in arrays),
        )


def overlaps_overwritten(layer, dy, dx):
    """A pixel under several windows keeps only the gradient of the last one."""
    dx = np.zeros_like(layer.x)
    for here, x, dx_k in windows(layer, layer.x, dx):
        np.copyto(dx_k, dy[here], where=x == layer.y[here])
    return dx


def spread_evenly(layer, dy, dx):
    dx = np.zeros_like(layer.x)
    for here, dx_k in windows(layer, dx):
        dx_k += dy[here] / dx_k[0, 0].size
    return dx


EXCHANGED = {
    "examples exchanged": lambda la, dy, dx: dx[::-1],
    "channels exchanged": lambda la, dy, dx: dx[:, ::-1],
    "dy changed": change_dy,
}
MEAN = {
    "sum in the place of the mean": lambda la, dy, dx: dx * 9,
    "zero at the edge": lambda la, dy, dx: dx * (np.arange(7) > 0),
}
plant(
    "MaxPool2D",
    lambda change: (after(ml.MaxPool2D, change)(3, 2), (3, 2, 7, 7)),
    EXCHANGED
    | {
        "spread evenly": spread_evenly,
        "to the mirrored pixel": lambda la, dy, dx: dx[:, :, ::-1],
        "rows and columns exchanged": lambda la, dy, dx: dx.swapaxes(2, 3),
    },
)
plant(
    "MaxPool2D, overlapping",
    lambda change: (after(ml.MaxPool2D, change)(3, 1), (3, 2, 7, 7)),
    {"overlaps overwritten": overlaps_overwritten},
)
plant(
    "AveragePool2D",
    lambda change: (after(ml.AveragePool2D, change)(3, 2), (3, 2, 7, 7)),
    EXCHANGED
    | MEAN
    | {"overlaps counted once": lambda la, dy, dx: np.minimum(dx, dx[:, :, :1, :1])},
)
plant(
    "GlobalAveragePool2D",
    lambda change: (after(ml.GlobalAveragePool2D, change)(), (3, 2, 7, 7)),
    EXCHANGED | MEAN,
)

# -- activation functions ---------------------------------------------------------------------


def with_slope(cls, change):
    """The function with ``change(z, d)`` in place of its derivative d."""

    class Mutant(cls):
        backward = Activation.backward  # linear's own does not need its slope

        def slope(self, z, y):
            return change(z, super().slope(z, y).astype(z.dtype))

    return Mutant()


for name, cls in ml.ACTIVATIONS.items():
    if cls.elementwise:
        errors = {
            "f' scaled by 1 + 1e-5": lambda z, d: d * (1 + 1e-5),
            "f' less 1e-5": lambda z, d: d - 1e-5,
            "f' = 1": lambda z, d: d * 0 + (0.5 if d.min() == 1 else 1),
            "f' wrong in the right tail": lambda z, d: d + 1e-3 * (z > 1),
        }
        if name == "binary_step":
            del errors["f' scaled by 1 + 1e-5"]  # 0 scaled is 0
        plant(name, lambda c, cls=cls: (with_slope(cls, c), (6, 5)), errors, lambda z, d: d)


def softmax(backward):
    mutant = type("Mutant", (ml.ACTIVATIONS["softmax"],), {"backward": staticmethod(backward)})
    return mutant(), (4, 5)


errors = {
    "zeros": lambda dy, z, y: y * 0,
    "only the diagonal": lambda dy, z, y: dy * y * (1 - y),
    "⟨dy, y⟩ left out": lambda dy, z, y: dy * y,
    "⟨dy, y⟩ averaged": lambda dy, z, y: y * (dy - (dy * y).mean(-1, keepdims=True)),
    "summed over the batch": lambda dy, z, y: y * (dy - (dy * y).sum(0)),
}
plant("softmax", softmax, errors, lambda dy, z, y: ml.get_activation("softmax").backward(dy, z, y))

# -- losses -----------------------------------------------------------------------------------


def loss_with(loss_class, change):
    """The loss with ``change(dlogits, logits, targets)`` in place of its gradient."""

    def loss(logits, targets):
        value, dlogits = loss_class()(logits, targets)
        return value, change(dlogits, logits, targets)

    return loss


FLOATS = np.random.default_rng(0).random((5, 4))
for cls in (ml.SoftmaxCrossEntropy, ml.MeanSquaredError, ml.BinaryCrossEntropy):
    targets = LABELS if cls is ml.SoftmaxCrossEntropy else FLOATS
    errors = {
        "1/N left out": lambda d, z, t: d * len(z),
        "1/N twice": lambda d, z, t: d / len(z),
        "sign": lambda d, z, t: -d,
        "zeros": lambda d, z, t: d * 0,
        "targets left out": lambda d, z, t: d + (np.eye(4)[t] if t.ndim == 1 else t) / t.size,
        "scaled by 1 + 1e-5": lambda d, z, t: d * (1 + 1e-5),
        "of another example": lambda d, z, t: d[::-1],
    }
    plant(
        cls.name,
        lambda c, cls=cls, targets=targets: (loss_with(cls, c), (5, 4), targets),
        errors,
        lambda d, z, t: d,
    )
