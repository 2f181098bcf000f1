"""What batch normalization does to the gradient of a deep network: growth, layer by layer."""

from __future__ import annotations

import numpy as np

from minidl.backend import checks
from minidl.propagation import _gaussian
from minidl.propagation._function import AnyFunction, as_activation


def batch_norm_factor(activation: AnyFunction) -> float:
    """The factor by which y = f(BatchNorm(x W)) multiplies the squared gradient, in large batches.

    BatchNorm makes its output x̂ ~ N(0, 1) whatever σ_w² is, and divides the gradient by the
    standard deviation s of x W, s² = σ_w² Var f(u).  So σ_w² cancels::

        E dx̂² ← F E dx̂'²,   F = E f'(u)² / Var f(u),   u ~ N(0, 1)

    Var f ≤ E f'² for every f (Poincaré's inequality), with equality only if f is linear.
    So the gradient explodes, whatever the function and the initialization: by
    F = π / (π − 1) = 1.467 per layer with ReLU.

    Source: Yang, Pennington, Rao, Sohl-Dickstein and Schoenholz, A Mean Field Theory of Batch
    Normalization, ICLR 2019.
    """
    f = as_activation("batch_norm_factor", activation)

    def mean(g: _gaussian.Function) -> float:
        return float(_gaussian.mean(g, np.ones(1), f.kinks)[0])

    variance = mean(lambda u: f(u) ** 2) - mean(f) ** 2
    if variance <= 0:
        raise ValueError(
            f"batch_norm_factor: expected a function that is not constant, got {f!r}, a constant"
        )
    return mean(lambda u: f.derivative(u) ** 2) / variance


def residual_growth(activation: AnyFunction, blocks: int, start: float = 1.0) -> list[float]:
    """How much larger E dx² is at the input of each block of a network of residual blocks.

    A block is y = x + f(BatchNorm(x)) W.  Each adds σ_w² Var f to the variance of x, so the
    l-th divides the gradient of its branch by a larger standard deviation than the one before::

        E dx_l² = (1 + F / (r + l)) E dx_(l+1)²,   r = Var x_0 / (σ_w² Var f)

    with F of :func:`batch_norm_factor`.  The product grows like L^F, a power of the depth,
    whereas without the shortcut it is F^L.

    Parameters
    ----------
    blocks : L
    start : r, the variance of the input of the first block, as a multiple of what a block adds

    Returns E dx_l² / E dx_L² for l = 0 … L.

    Source: derived as above; Yang and Schoenholz, Mean Field Residual Networks, NeurIPS 2017,
    have the power law for networks without BatchNorm.
    """
    count = checks.integer("residual_growth", "blocks", blocks)
    start = checks.positive("residual_growth", "start", start)
    factors = 1 + batch_norm_factor(activation) / (start + np.arange(count))
    return [*np.cumprod(factors[::-1])[::-1].tolist(), 1.0]
