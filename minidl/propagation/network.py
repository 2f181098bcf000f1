"""What theory says of a fully connected network as it starts, and what is measured in it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from minidl._predict import as_input
from minidl.backend import Array, checks, to_numpy
from minidl.layers import Dense, Flatten
from minidl.losses import Loss
from minidl.network import Network
from minidl.propagation.mean_field import MeanField

UNITS = 16384  # drawn for each layer, where a mean is over units and examples at once
DRAWN = 4_000_000  # numbers of the covariances of all draws of the logits, to bound the memory
PAIRS = 1024  # units of two layers, all of one with all of the other


@dataclass(frozen=True)
class Signals:
    """The mean squares of one layer over its units and the examples, and the size of dW."""

    layer: str
    z2: float  # E z², of the pre-activations
    dz2: float  # E dz², of their gradient
    mean_abs_dW: float  # mean |dW|


def measured(
    network: Network, loss: Loss, x: Array, targets: Array, reduction: str = "mean"
) -> list[Signals]:
    """The mean squares of each Dense layer, after one forward and backward of ``x`` (N, …)."""
    layers = _dense_layers("measured", network)
    checks.instance("measured", "loss", loss, Loss)
    _, dlogits = loss(network.forward(as_input("measured", network, x)), targets, reduction)
    network.backward(dlogits)
    return [
        Signals(layer.name, _square(layer.z), _square(layer.dz), float(abs(layer.dW).mean()))
        for layer in layers
    ]


def predicted(
    network: Network,
    loss: Loss,
    x: Array,
    targets: Array,
    reduction: str = "mean",
    rng: np.random.Generator | int = 0,
) -> list[Signals]:
    """The same, from theory: of W and b only their mean squares are used, layer by layer.

    With σ² the mean square of W and K the covariance of z between the examples (N, N)::

        K_1  = σ_1² x xᵀ + σ_b²
        K'   = n σ'² E f(z) f(z)ᵀ + σ_b'²               z ~ N(0, K), for each unit
        D    = n' σ'² D' ∘ E f'(z) f'(z)ᵀ               D: that of dz between the examples
        |dW| = the mean of |Σ_n x_n dz_n|

    E z² and E dz² are the diagonals, which are integrals; what is left needs all examples
    at once and is the mean over drawn units, good to a few percent.  The gradient of the loss
    is that of drawn logits.  Everything holds for wide layers with independent weights, and
    for an output layer that is narrow beside the one before it: else the gradient of the
    logits, which know W, is not independent of the Wᵀ that it meets first.

    Parameters
    ----------
    network : of Flatten and Dense layers
    loss, x, targets, reduction : as :func:`minidl.probe` has them
    rng : where the drawn units come from

    Raises
    ------
    ValueError
        for a network with other layers, or with a function that is not element-wise.
    """
    layers = _dense_layers("predicted", network)
    checks.instance("predicted", "loss", loss, Loss)
    generator = checks.generator("predicted", rng)
    x = as_input("predicted", network, x)
    inputs = to_numpy(x).reshape(len(x), -1).astype(float)  # (N, n_in)
    loss(network.forward(x), targets, reduction)  # judges them
    sigma2 = [_square(layer.W) for layer in layers]
    fields = [MeanField(layer.f) for layer in layers]

    # Forward.
    q = sigma2[0] * (inputs**2).sum(axis=1) + _square(layers[0].b)  # (N,)
    K = sigma2[0] * inputs @ inputs.T + _square(layers[0].b)  # (N, N)
    variances, units = [q], [_drawn(K, generator)]
    for i, layer in enumerate(layers[1:], 1):
        y, gain = layers[i - 1].f(units[-1]), layers[i - 1].n_out * sigma2[i]  # y (M, N)
        q = gain * fields[i - 1].variances(q) + _square(layer.b)
        K = _with_diagonal(gain * (y.T @ y) / len(y) + _square(layer.b), q)
        variances.append(q)
        units.append(_drawn(K, generator))

    # Backward, for each draw of the logits: few logits give no mean, but one of many D.
    dz = _output_gradients(layers[-1], units[-1], loss, to_numpy(targets), reduction)  # (R, C, N)
    D = dz.swapaxes(1, 2) @ dz / dz.shape[1]  # (R, N, N)
    x_last = layers[-2].f(units[-2]) if len(layers) > 1 else inputs.T
    rows = _some(dz.reshape(-1, len(inputs)), generator)
    found = [(_mean_trace(D), float(np.abs(_some(x_last, generator) @ rows.T).mean()))]
    del dz, rows, x_last  # large, like the units
    for i in reversed(range(len(layers) - 1)):
        del units[i + 1 :]
        G = layers[i + 1].n_out * sigma2[i + 1] * D
        slope = layers[i].f.derivative(units[i])  # (M, N)
        D = G * _with_diagonal(slope.T @ slope / len(slope), fields[i].chis(variances[i]))
        x_i = layers[i - 1].f(units[i - 1]) if i else inputs.T  # (units, N)
        found.append((_mean_trace(D), _mean_size(x_i, slope, G, generator)))
    return [
        Signals(layer.name, float(q.mean()), dz2, size)
        for layer, q, (dz2, size) in zip(layers, variances, reversed(found), strict=True)
    ]


def _mean_trace(D: np.ndarray) -> float:
    """E dz², the mean over examples of the diagonals of D (R, N, N)."""
    return float(np.trace(D, axis1=1, axis2=2).mean() / D.shape[-1])


def _dense_layers(owner: str, network: Network) -> list[Dense]:
    checks.instance(owner, "network", network, Network)
    for layer in network.layers:
        if not isinstance(layer, Dense | Flatten):
            raise ValueError(
                f"{owner}: expected a network of Flatten and Dense layers, got {layer!r}"
            )
    return [layer for layer in network.layers if isinstance(layer, Dense)]


def _square(array: Array) -> float:
    """The mean square."""
    return float((to_numpy(array).astype(float) ** 2).mean())


def _drawn(K: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """z of UNITS units, (M, N) ~ N(0, K); K may have no full rank."""
    values, vectors = np.linalg.eigh(K)
    root = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T  # √K, of which there is one
    return rng.standard_normal((UNITS, len(K))) @ root


def _with_diagonal(K: np.ndarray, q: np.ndarray) -> np.ndarray:
    """The covariance with the correlations of ``K`` and the variances ``q``."""
    drawn = np.sqrt(np.diag(K))
    scale = np.sqrt(q) / np.where(drawn > 0, drawn, 1)
    K = K * scale * scale[:, None]
    np.fill_diagonal(K, q)
    return K


def _output_gradients(
    layer: Dense, z: np.ndarray, loss: Loss, targets: np.ndarray, reduction: str
) -> np.ndarray:
    """dz of the last layer (R, C, N), for R draws of logits made of the units ``z`` (M, N)."""
    N, C = z.shape[1], layer.n_out
    draws = max(1, min(math.ceil(len(z) / C), DRAWN // N**2))
    z = np.resize(z, (draws, C, N)).swapaxes(1, 2).reshape(draws * N, C)
    repeated = np.concatenate([targets] * draws)
    y = layer.f(z)
    with np.errstate(all="ignore"):
        dy = loss.per_example(y, repeated)[1] / (N if reduction == "mean" else 1)
    dz = layer.f.backward(dy, z, y)
    return np.ascontiguousarray(dz.reshape(draws, N, C).swapaxes(1, 2))


def _some(rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """At most PAIRS of the rows."""
    return rows if len(rows) <= PAIRS else rng.choice(rows, PAIRS, replace=False)


def _mean_size(x: np.ndarray, slope: np.ndarray, G: np.ndarray, rng: np.random.Generator) -> float:
    """The mean of |dW| = |Σ_n x_n f'(z_n) g_n|, g ~ N(0, G_r), over r, units x and units z."""
    each = math.ceil(max(UNITS, len(x)) / len(G))
    i = np.resize(np.arange(len(x)), len(G) * each)
    j = rng.integers(len(slope), size=len(i))
    variance = np.empty((len(G), each))
    for r, pairs in enumerate(np.arange(len(i)).reshape(len(G), each)):
        products = x[i[pairs]] * slope[j[pairs]]  # (pairs, N)
        variance[r] = ((products @ G[r]) * products).sum(axis=1)
    return math.sqrt(2 / math.pi) * float(np.sqrt(np.maximum(variance, 0)).mean())
