"""How strong the backward signal is on its way from the loss to the first layer."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

from minidl.backend import Array, namespace
from minidl.layers import ActivationLayer
from minidl.layers._affine import Affine
from minidl.network import Network

# What the signal passed to reach a stop: the loss, f' of a layer, its weights, or, if
# a layer is not taken apart (a pool, a residual block), the whole layer.
THROUGH = ("loss", "slope", "weights", "layer")


@dataclass(frozen=True)
class SignalNorm:
    """A stop on the way back, and the norm of the signal there."""

    array: str  # the signal is the gradient of this: "dense_2.z", "dense_1.y"
    through: str  # one of THROUGH, what it passed last
    layer: str  # the layer to which that belongs; empty for the loss
    norm: float  # ‖∂L/∂array‖, the root of the sum over all examples and units
    predicted: float | None = None  # the factor that theory predicts, if any


def backward_signal(network: Network, dlogits: Array) -> list[SignalNorm]:
    """Run backward from ``dlogits`` = ∂L/∂y of the last layer, recording the norm at every stop.

    ``dtheta`` is computed as by :meth:`minidl.network.Network.backward`.  In a dense layer or a
    convolution, the signal passes through f' and then through W::

        ∂L/∂z = ∂L/∂y ∘ f'(z)         "slope":    ‖∂L/∂z‖ / ‖∂L/∂y‖ is at most max |f'|
        ∂L/∂x = ∂L/∂z Wᵀ              "weights":  ‖∂L/∂x‖ / ‖∂L/∂z‖ is at most ‖W‖₂

    The last stop is at z of the first layer with parameters, from which its dW is computed.
    """
    layers = network.layers
    first = next((i for i, layer in enumerate(layers) if layer.size), 0)
    stops = [SignalNorm(f"{layers[-1].name}.y", "loss", "", norm(dlogits))]
    dy: Array | None = dlogits
    for i in range(len(layers) - 1, first - 1, -1):
        layer = layers[i]
        assert dy is not None  # only the first layer returns None
        dy = layer.backward(dy, input_gradient=i > first)
        if isinstance(layer, Affine):
            stops.append(SignalNorm(f"{layer.name}.z", "slope", layer.name, norm(layer.dz)))
        if dy is not None:
            through = "weights" if isinstance(layer, Affine) else "layer"
            through = "slope" if isinstance(layer, ActivationLayer) else through
            stops.append(SignalNorm(f"{layers[i - 1].name}.y", through, layer.name, norm(dy)))
    return stops


def factors(stops: list[SignalNorm]) -> list[float]:
    """The factor of the signal from each stop to the next; NaN once it is zero.

    Their product is the norm at the last stop over that at the first.
    """
    return [
        after.norm / before.norm if before.norm > 0 else math.nan
        for before, after in itertools.pairwise(stops)
    ]


def norm(v: Array) -> float:
    """‖v‖ = √(Σ v_i²), summed in float64."""
    return math.sqrt(float(namespace(v).sum(namespace(v).square(v, dtype=np.float64))))
