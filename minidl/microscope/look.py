"""A look at a network on one batch: weights and gradients as pictures, histograms, the signal.

What is kept is bounded, so that a run can keep a look of every epoch: the pictures are those of
at most 16 units of a layer, in a byte for each weight.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from minidl.backend import Array, namespace, to_numpy
from minidl.layers import Conv2D, Flatten, Layer
from minidl.layers.affine import Affine
from minidl.losses import Loss
from minidl.microscope.backward_signal import Stop, backward_signal
from minidl.network import Network

UNITS = 16  # of a layer, as pictures and with histograms of their own
WEIGHTS = 49_152  # numbers in a layer's pictures: 16 colour images of 32 × 32
LEVELS = 127  # a picture is made of whole numbers from −127 to 127
BINS = 40  # of a histogram, and one more on either side for everything beyond
Z_LIMIT = 10.0  # pre-activations are counted from −10 to 10
GRADIENTS = (-10.0, 2.0)  # |dW| is counted from 10^-10 to 10^2
CURVE = np.linspace(-Z_LIMIT, Z_LIMIT, 201)  # where f and f' are drawn


@dataclass(frozen=True)
class Picture:
    """Numbers as whole ones from −127 to 127, each unit's largest being 127.

    ``levels * scale`` is right to half a level: to 0.4% of the unit's largest.
    """

    levels: np.ndarray  # (U, *shape) int8
    scale: np.ndarray  # (U,) float32

    @classmethod
    def of(cls, v: np.ndarray) -> Picture:
        """Of the rows of ``v`` ``(U, *shape)``; a row that is not finite is all zeros."""
        rows = v.reshape(len(v), -1).astype(np.float64)
        with np.errstate(all="ignore"):
            scale = (np.abs(rows).max(axis=1) / LEVELS).astype(np.float32)
            levels = np.rint(rows / scale[:, None])
        levels = np.nan_to_num(levels, nan=0, posinf=0, neginf=0)
        return cls(levels.clip(-LEVELS, LEVELS).astype(np.int8).reshape(v.shape), scale)


@dataclass(frozen=True)
class Histogram:
    """How many values lie between one edge and the next; row 0 is of all units together."""

    edges: np.ndarray  # (B + 1,) float64, from −∞ (or 0) to ∞
    counts: np.ndarray  # (1 + U, B) uint32

    @classmethod
    def of(cls, values: np.ndarray, shown: np.ndarray, edges: np.ndarray) -> Histogram:
        """Of ``values`` ``(units, …)`` and of the units ``shown`` ``(U,)`` each for itself."""
        rows = [values, *values[shown]]
        counts = [np.histogram(row, edges)[0] for row in rows]
        return cls(edges, np.array(counts, np.uint32))


@dataclass(frozen=True)
class LayerLook:
    """One layer with weights on the batch; a unit of a convolution is a channel."""

    name: str
    text: str  # Dense(3072 -> 512, sigmoid)
    activation: str  # sigmoid
    formula: str
    derivative: str
    units: int  # that it has
    shown: np.ndarray  # (U,) int32, the units that are looked at
    W: Picture  # (U, *shape): of a dense layer on images their shape, of a convolution its kernel
    dW: Picture  # the gradient of W, of the loss summed over the batch
    b: np.ndarray  # (U,) float32
    db: np.ndarray  # (U,) float32
    z: Histogram
    y: Histogram
    gradients: Histogram  # of |dW|, in steps of its order of magnitude
    mean_slope: np.ndarray  # (units,) float32, mean f'(z) of each unit; NaN for softmax
    mean_gradient: np.ndarray  # (units,) float32, mean |dW| of each unit
    curve: np.ndarray  # (2, 201) float32, f and f' from −10 to 10; NaN for softmax


@dataclass(frozen=True)
class Look:
    """A network on one batch."""

    epoch: int  # how many it has been trained; 0 before the first
    examples: int
    loss: float  # summed over the examples
    signal: list[Stop]
    layers: list[LayerLook]


def look_at(network: Network, loss: Loss, x: Array, targets: Array, epoch: int) -> Look:
    """Run ``x`` ``(N, …)`` forward and backward, as :func:`minidl.probe` does, and look.

    The gradients are those of the loss *summed* over the batch.  The network computes as in
    inference and its ``dtheta`` is overwritten; nothing that a training reads is changed.
    """
    value, dlogits = loss(network.forward(x), targets, "sum")
    signal = backward_signal(network, dlogits)
    layers = []
    before: Layer | None = None
    for layer in network.walk():
        if isinstance(layer, Affine):
            layers.append(_look_at_layer(layer, before))
        before = layer
    return Look(epoch, len(x), float(value), signal, layers)


def _look_at_layer(layer: Affine, before: Layer | None) -> LayerLook:
    W, dW = (_by_unit(layer, to_numpy(v)) for v in (layer.W, layer.dW))  # (units, …)
    z, y = (np.moveaxis(to_numpy(v), 1, 0) for v in (layer.z, layer.y))  # (units, N, …)
    images = isinstance(before, Flatten) and not isinstance(layer, Conv2D)
    shape = before.x.shape[1:] if images and before is not None else W.shape[1:]
    shown = _spread_out(len(W), math.prod(shape))
    f = layer.activation
    if f.elementwise:
        slopes = to_numpy(f.derivative(layer.z, layer.y))  # (N, units, …)
        mean_slope = np.moveaxis(slopes, 1, 0).reshape(len(W), -1).mean(axis=1, dtype=np.float64)
        points = namespace(layer.z).asarray(CURVE)
        curve = np.stack([to_numpy(f(points)), to_numpy(f.derivative(points))])
    else:
        mean_slope = np.full(len(W), math.nan)
        curve = np.full((2, len(CURVE)), math.nan)
    return LayerLook(
        layer.name,
        repr(layer),
        repr(f),
        f.formula,
        f.derivative_formula,
        len(W),
        shown,
        Picture.of(W[shown].reshape(-1, *shape)),
        Picture.of(dW[shown].reshape(-1, *shape)),
        to_numpy(layer.b)[shown].astype(np.float32),
        to_numpy(layer.db)[shown].astype(np.float32),
        Histogram.of(z, shown, value_edges(-math.inf, math.inf)),
        Histogram.of(y, shown, value_edges(*f.range)),
        Histogram.of(np.abs(dW), shown, gradient_edges()),
        mean_slope.astype(np.float32),
        np.abs(dW).reshape(len(W), -1).mean(axis=1, dtype=np.float64).astype(np.float32),
        curve.astype(np.float32),
    )


def _by_unit(layer: Affine, W: np.ndarray) -> np.ndarray:
    """W with the weights that lead to one unit in one row."""
    return W if isinstance(layer, Conv2D) else W.T


def _spread_out(units: int, weights: int) -> np.ndarray:
    """Which units are looked at, evenly spread: as many as there may be with so many weights."""
    n = min(units, UNITS, max(1, WEIGHTS // weights))
    return np.linspace(0, units - 1, n).round().astype(np.int32)


def value_edges(low: float, high: float) -> np.ndarray:
    """Edges for values in that range, 40 bins between −10 and 10 at most, and all beyond."""
    inner = np.linspace(max(low, -Z_LIMIT), min(high, Z_LIMIT), BINS + 1)
    return np.concatenate([[-math.inf], inner, [math.inf]])


def gradient_edges() -> np.ndarray:
    """Edges for sizes: 40 bins of three tenths of a power of ten each, and all beyond."""
    return np.concatenate([[0.0], np.logspace(*GRADIENTS, BINS + 1), [math.inf]])
