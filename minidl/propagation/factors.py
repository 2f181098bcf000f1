"""The factor by which, in theory, each layer multiplies the norm of the backward signal."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from minidl._predict import as_input
from minidl.activations import Activation
from minidl.backend import Array, checks, to_numpy
from minidl.layers import Dense, Dropout, Flatten
from minidl.network import Network
from minidl.propagation.mean_field import MeanField


@dataclass(frozen=True)
class LayerFactors:
    """The factors of one Dense layer."""

    slope: float | None  # ‖dz‖ / ‖dy‖ = √E f'(z)²; None where theory has nothing to say
    weights: float  # ‖dx‖ / ‖dz‖ = √(n_in E W²)


def layer_factors(network: Network, x: Array) -> dict[str, LayerFactors]:
    """The factors of the Dense layers of ``network`` by name, for a batch ``x`` (N, …).

    Only the mean squares of W and b are used, as in :func:`predicted`, so the factors
    are those of random weights of that size.  The slope is known as long as all layers before
    are Dense, Flatten and Dropout (which is the identity here), the weights of every Dense::

        q = n_in E W² mean x² + E b²        z ~ N(0, q), for each example
        E f'(z)²                            its mean over the examples
        mean x² of the next layer = E f(z)²

    Raises
    ------
    ValueError
        if ``network`` is not a network, or x does not match it.
    """
    checks.instance("layer_factors", "network", network, Network)
    checks.array("layer_factors", "x", x)
    if not network.accepts_shape(x.shape[1:]) or not len(x):
        shape = ", ".join(map(str, network.input_shape))
        raise ValueError(f"layer_factors: expected x (N, {shape}), got {x.shape}")
    found: dict[str, LayerFactors] = {}
    x2: np.ndarray | None = _mean_square(as_input("layer_factors", network, x))  # (N,)
    for layer in network.layers:
        if isinstance(layer, Dense):
            gain = layer.n_in * float(_mean_square(layer.W).mean())
            slope = None
            if x2 is not None:
                slope, x2 = _through(layer.f, gain * x2 + float(_mean_square(layer.b).mean()))
            found[layer.name] = LayerFactors(slope, math.sqrt(gain))
        elif not isinstance(layer, Flatten | Dropout):
            x2 = None
    return found


def _through(f: Activation, q: np.ndarray) -> tuple[float | None, np.ndarray | None]:
    """√E f'(z)², and E f(z)² of each example (N,); None for a function that is not taken."""
    try:
        field = MeanField(f)
        return math.sqrt(field.chis(q).mean()), field.variances(q)
    except ValueError:  # softmax, NaN, an f' that is not the derivative of f, no mean that settles
        return None, None


def _mean_square(array: Array) -> np.ndarray:
    """(N,) over all axes but the first."""
    values = to_numpy(array).astype(float)
    return np.square(values).reshape(len(values), -1).mean(axis=1)
