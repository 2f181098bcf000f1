"""A snapshot of a network on one batch: weights and gradients as pictures, histograms, the signal.

Its size is bounded, so that a run can keep one per epoch: pictures show at
most 16 units of a layer, with one byte per weight.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from minidl.backend import Array, namespace, to_numpy
from minidl.backend.arrays import features_axis
from minidl.layers import Conv2D, Flatten, Layer
from minidl.layers._affine import Affine
from minidl.losses import Loss
from minidl.microscope.attention_snapshot import AttentionSnapshot, attention_of, tokens_of
from minidl.microscope.backward_signal import SignalNorm, backward_signal
from minidl.network import Network
from minidl.propagation import layer_factors

UNITS = 16  # units per layer with pictures and histograms of their own
WEIGHTS = 24_576  # weights in a layer's pictures: as many as in 8 colour images of 32 × 32
LEVELS = 127  # pictures consist of integers from −127 to 127
BINS = 40  # of a histogram, plus one on either side for everything beyond
LIMIT = 10.0  # values are counted, and functions drawn, from −10 to 10
CURVE = np.linspace(-LIMIT, LIMIT, 201)  # where f and f' are drawn


def value_edges(low: float, high: float) -> np.ndarray:
    """Edges for values in that range: 40 bins between −10 and 10, and one beyond each end."""
    inner = np.linspace(max(low, -LIMIT), min(high, LIMIT), BINS + 1)
    return np.concatenate([[-math.inf], inner, [math.inf]])


Z_EDGES = value_edges(-math.inf, math.inf)
# For magnitudes: 40 bins of 0.3 decades, from 1e-10 to 100, and one beyond each end.
GRADIENT_EDGES = np.concatenate([[0.0], np.logspace(-10, 2, BINS + 1), [math.inf]])


@dataclass(frozen=True)
class LayerSnapshot:
    """One layer with weights on the batch: some of its units, and statistics of all of them.

    A unit of a convolution is a channel.  Pictures are integers: ``W * W_scale`` is accurate
    to half a level, 0.4% of the unit's largest weight.  Row 0 of the counts is for all units
    together, the other rows are for those ``shown``.
    """

    name: str
    text: str  # Dense(3072 -> 512, sigmoid)
    activation: str  # sigmoid
    formula: str  # of f
    derivative: str  # the formula of f'
    shown: np.ndarray  # (U,) int32, the units that have pictures
    W: np.ndarray  # (U, *shape) int8, the weights into each unit, in the shape of the layer's input
    W_scale: np.ndarray  # (U,) float32
    dW: np.ndarray  # (U, *shape) int8, the gradient of the loss summed over the batch
    dW_scale: np.ndarray  # (U,) float32
    b: np.ndarray  # (U,) float32
    db: np.ndarray  # (U,) float32
    z_counts: np.ndarray  # (1 + U, 42) uint32, between Z_EDGES
    y_counts: np.ndarray  # (1 + U, 42) uint32, between y_edges
    y_edges: np.ndarray  # (43,) float64, those of the range of f
    dW_counts: np.ndarray  # (1 + U, 42) uint32, of |dW|, between GRADIENT_EDGES
    slope: np.ndarray  # (units,) float32, mean f'(z) of every unit; NaN for softmax
    gradient: np.ndarray  # (units,) float32, mean |dW| of every unit
    curve: np.ndarray  # (2, 201) float32, f and f' at CURVE; NaN for softmax

    @property
    def units(self) -> int:
        """How many units the layer has."""
        return len(self.slope)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of a picture: (n_in,), or (C, height, width)."""
        return self.W.shape[1:]


@dataclass(frozen=True)
class Snapshot:
    """A network on one batch."""

    epoch: int  # how many epochs it has been trained for
    examples: int
    loss: float  # summed over the examples
    signal: list[SignalNorm]
    layers: list[LayerSnapshot]
    tokens: list[str] = field(default_factory=list)  # of the sentence whose attention is shown
    attention: list[AttentionSnapshot] = field(default_factory=list)


def take_snapshot(
    network: Network,
    loss: Loss,
    x: Array,
    targets: Array,
    epoch: int,
    vocabulary: Sequence[str] = (),
) -> Snapshot:
    """Run ``x`` ``(N, …)`` forward and backward, as :func:`minidl.probe` does; return a snapshot.

    The loss is *summed* over the batch.  The network runs in inference mode and its
    ``dtheta`` is overwritten; nothing that training reads is changed.  Attention is kept for the
    first sentence; ``vocabulary`` has the words of its tokens.
    """
    value, dlogits = loss(network.forward(x), targets, "sum")
    signal = _with_theory(network, x, backward_signal(network, dlogits))
    layers = []
    before: Layer | None = None
    for layer in network.walk():
        if isinstance(layer, Affine):
            layers.append(_layer_snapshot(layer, before))
        before = layer
    tokens, attention = tokens_of(network, x, vocabulary), [*attention_of(network)]
    return Snapshot(epoch, len(x), float(value), signal, layers, tokens, attention)


def _with_theory(network: Network, x: Array, stops: list[SignalNorm]) -> list[SignalNorm]:
    """The stops, each with the factor that random weights of the same size would have."""
    known = layer_factors(network, x)
    return [
        replace(stop, predicted=getattr(known[stop.layer], stop.through))
        if stop.layer in known
        else stop
        for stop in stops
    ]


def _layer_snapshot(layer: Affine, before: Layer | None) -> LayerSnapshot:
    W, dW = (_by_unit(layer, to_numpy(v)) for v in (layer.W, layer.dW))  # (units, …)
    z, y = (_units_first(v) for v in (layer.z, layer.y))  # (units, N, …)
    # The weights of a dense layer on flattened images are shown as images.
    shape = before.x.shape[1:] if isinstance(before, Flatten) else W.shape[1:]
    shown = spread_out(len(W), math.prod(shape))
    f = layer.activation
    slope, curve = np.full(len(W), math.nan), np.full((2, len(CURVE)), math.nan)
    if f.elementwise:
        slopes = _units_first(f.derivative(layer.z, layer.y))
        slope = slopes.reshape(len(W), -1).mean(axis=1, dtype=np.float64)
        points = namespace(layer.z).asarray(CURVE)
        curve = np.stack([to_numpy(f(points)), to_numpy(f.derivative(points))])
    y_edges = value_edges(*f.range)
    size = np.abs(dW).reshape(len(W), -1)
    none = np.zeros(len(W))  # for a convolution without b
    b, db = (to_numpy(found.get("b", none)) for found in (layer.parameters(), layer.gradients()))
    return LayerSnapshot(
        layer.name,
        repr(layer),
        repr(f),
        f.formula,
        f.derivative_formula,
        shown,
        *picture(W[shown].reshape(-1, *shape)),
        *picture(dW[shown].reshape(-1, *shape)),
        b[shown].astype(np.float32),
        db[shown].astype(np.float32),
        counts(z, shown, Z_EDGES),
        counts(y, shown, y_edges),
        y_edges,
        counts(size, shown, GRADIENT_EDGES),
        slope.astype(np.float32),
        size.mean(axis=1, dtype=np.float64).astype(np.float32),
        curve.astype(np.float32),
    )


def _units_first(v: Array) -> np.ndarray:
    return np.moveaxis(to_numpy(v), features_axis(v.ndim), 0)


def _by_unit(layer: Affine, W: np.ndarray) -> np.ndarray:
    """W with the weights into each unit as one row."""
    return W if isinstance(layer, Conv2D) else W.T


def spread_out(units: int, weights: int) -> np.ndarray:
    """Which units, each with this many weights, are shown: as many as allowed, evenly spread."""
    n = min(units, UNITS, max(1, WEIGHTS // weights))
    return np.linspace(0, units - 1, n).round().astype(np.int32)


def picture(v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``v`` ``(U, *shape)`` as levels, the largest of each unit ±127, and the value of one level.

    A unit with values that are not finite is all zeros.
    """
    rows = v.reshape(len(v), -1).astype(np.float64)
    with np.errstate(all="ignore"):
        scale = (np.abs(rows).max(axis=1) / LEVELS).astype(np.float32)
        levels = np.rint(rows / scale[:, None])
    levels = np.nan_to_num(levels, nan=0, posinf=0, neginf=0).clip(-LEVELS, LEVELS)
    return levels.astype(np.int8).reshape(v.shape), scale


def counts(values: np.ndarray, shown: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """How many ``values`` ``(units, …)`` each bin has: of all units, then of each one shown."""
    rows = [np.histogram(row, edges)[0] for row in (values, *values[shown])]
    return np.array(rows, np.uint32)
