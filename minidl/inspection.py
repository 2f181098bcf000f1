"""What each layer's gradients, units and updates look like, as plain statistics."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from minidl._predict import as_input
from minidl.activations import Activation
from minidl.backend import IN_CACHE, Array, checks, namespace
from minidl.backend.arrays import features_axis
from minidl.data.examples import Examples
from minidl.losses import Loss
from minidl.network import Network

SATURATED = 0.01  # a slope below this share of the function's steepest counts as flat
INPUT = "the input of the network"  # a place where NaN and infinity may first appear


@dataclass(frozen=True)
class GradientStats:
    """Statistics of one parameter's gradient g over its entries."""

    layer: str
    parameter: str
    mean_abs: float  # (1/n) Σ |g_i|
    rms: float  # √((1/n) Σ g_i²)
    l2_norm: float  # √(Σ g_i²)
    max_abs: float  # max |g_i|
    zeros: float  # share of entries that are exactly 0
    update_ratio: float  # ‖Δθ‖ / ‖θ‖ of the last step, NaN if unknown


@dataclass(frozen=True)
class UnitStats:
    """One layer's units on a batch, judged by the slope f'(z) of their activation function.

    A slope is flat if it is below 1% of the function's steepest slope, or below 0.01
    if that is unbounded (squared ReLU) or 0 (binary step).
    A unit of a convolution is a channel: it is dead if its slope is flat at every
    place of every example, and each place counts for ``saturated``.  In a layer on
    sentences, each token is such a place.
    """

    layer: str
    dead: float  # share of units whose slope is flat for every example
    saturated: float  # share of all (example, unit) pairs with a flat slope


@dataclass(frozen=True)
class Probe:
    """All statistics of one network on one batch."""

    loss: float
    gradients: list[GradientStats]
    units: list[UnitStats]

    def mean_abs(self, parameter: str = "W") -> list[float]:
        """mean |g| of that parameter, layer by layer."""
        return [g.mean_abs for g in self.gradients if g.parameter == parameter]

    def __str__(self) -> str:
        columns = list(GradientStats.__dataclass_fields__)[2:]
        names = [f"{g.layer}.{g.parameter}" for g in self.gradients]
        width = max([14, *(len(name) + 1 for name in names)])
        lines = [f"{'gradient':<{width}}" + "".join(f"{name:>14}" for name in columns)]
        for name, g in zip(names, self.gradients, strict=True):
            numbers = list(asdict(g).values())[2:]
            lines.append(f"{name:<{width}}" + "".join(f"{v:>14.4g}" for v in numbers))
        lines.append(f"{'units':<{width}}{'dead':>14}{'saturated':>14}")
        lines += [f"{u.layer:<{width}}{u.dead:>14.4g}{u.saturated:>14.4g}" for u in self.units]
        return "\n".join(lines)


def probe(
    network: Network,
    loss: Loss,
    x: Array,
    targets: Array,
    reduction: str = "mean",
    update: Array | None = None,
) -> Probe:
    """Run ``x`` ``(N, …)`` forward and backward, and return statistics of every layer.

    The network computes as in inference (no dropout), and its ``dtheta`` is
    overwritten.  ``reduction="sum"`` uses the gradient of the summed loss, which is
    N times that of the mean.  ``update`` is Δθ ``(P,)`` of the last step, as in
    :class:`minidl.training.Epoch`, for the update-to-weight ratio.
    """
    checks.instance("probe", "network", network, Network)
    network.expect_views("probe")
    checks.instance("probe", "loss", loss, Loss)
    loss.expect_logits("probe", network)
    x = as_input("probe", network, x)
    value, dlogits = loss(network.forward(x), targets, reduction)
    network.backward(dlogits)
    return Probe(float(value), gradient_stats(network, update), unit_stats(network))


def gradient_stats(network: Network, update: Array | None = None) -> list[GradientStats]:
    """Statistics of the network's current gradients, parameter by parameter."""
    if update is not None and np.shape(update) != network.theta.shape:
        raise ValueError(
            f"gradient_stats: expected update {network.theta.shape} as an Epoch has it, "
            f"got {np.shape(update)}"
        )
    rows = []
    start = 0
    for layer, name, value, g in network.parameters():
        stop = start + value.size
        ratio = math.nan if update is None else update_ratio(value, update[start:stop])
        rows.append(GradientStats(layer.name, name, *_sizes(g), ratio))
        start = stop
    return rows


def _sizes(g: Array) -> tuple[float, float, float, float, float]:
    """mean |g|, RMS, L2 norm, max |g|, share of zeros; sums in float64."""
    xp = namespace(g)
    size = xp.abs(g)
    square_sum = _square_sum(g)
    return (
        float(size.mean(dtype=np.float64)),
        math.sqrt(square_sum / g.size),
        math.sqrt(square_sum),
        float(size.max()),
        1.0 - int(xp.count_nonzero(g)) / g.size,
    )


def update_ratio(value: Array, update: Array) -> float:
    """‖Δθ‖ / ‖θ‖ of one parameter; NaN if θ is all zeros."""
    norm, step = math.sqrt(_square_sum(value)), math.sqrt(_square_sum(update))
    return step / norm if norm > 0 else math.nan


def _square_sum(array: Array) -> float:
    """Σ a² in float64, without a float64 copy of the whole array."""
    xp, row = namespace(array), array.reshape(-1)
    step = IN_CACHE if xp is np else max(array.size, 1)
    parts = (row[i : i + step] for i in range(0, row.size, step))
    return sum(float(xp.sum(xp.square(part, dtype=np.float64))) for part in parts)


def unit_stats(network: Network) -> list[UnitStats]:
    """Dead and saturated units in the last forward pass, for each layer with an activation."""
    return [
        UnitStats(name, float(_in_all(flat).mean()), float(flat.mean()))
        for name, flat in _flat_slopes(network)
    ]


def dead_units(network: Network, examples: Examples, batch_size: int = 256) -> dict[str, Array]:
    """Which units have a flat slope for every example: (units,) bool by layer.

    The examples go forward, ``batch_size`` at a time, as in inference, until every unit has been
    seen alive; if one is dead, all examples do.  On a few dozen examples, as in :func:`probe`, a
    unit may look dead although it is not.
    """
    batch_size = checks.integer("dead_units", "batch_size", batch_size)
    dead: dict[str, Array] = {}
    for start in range(0, len(examples), batch_size):
        x, _ = examples.batch(start, start + batch_size, network.dtype)
        network.forward(x)
        for name, flat in _flat_slopes(network):
            dead[name] = dead[name] & _in_all(flat) if name in dead else _in_all(flat)
        if not any(units.any() for units in dead.values()):
            break
    return dead


def _flat_slopes(network: Network) -> Iterator[tuple[str, Array]]:
    """Where f'(z) was flat in the last forward pass, (N, units, …), for each layer with an f."""
    for layer in network.walk():
        f, z = getattr(layer, "activation", None), getattr(layer, "z", None)
        if isinstance(f, Activation) and f.elementwise and z is not None:
            steepest = f.max_slope if 0 < f.max_slope < math.inf else 1.0
            slopes = namespace(z).abs(f.derivative(z, layer.y))
            yield layer.name, slopes < SATURATED * steepest


def _in_all(flat: Array) -> Array:
    """(units,): whether a unit is flat for every example, and at every place of it."""
    units = features_axis(flat.ndim)
    return namespace(flat).all(flat, axis=tuple(a for a in range(flat.ndim) if a != units))


def first_nonfinite(network: Network) -> str | None:
    """Where NaN or infinity first appeared in the last forward, like ``"dense_2.z"``; or None."""
    if not _finite(network.layers[0].x):
        return INPUT
    for layer in network.walk():  # in the order of the forward pass
        for name in (*layer.parameter_shapes(), *layer.state_shapes(), "z", "y"):
            if not _finite(getattr(layer, name, None)):
                return f"{layer.name}.{name}"
    return None


def _finite(array: Any) -> bool:
    return array is None or bool(namespace(array).isfinite(array).all())
