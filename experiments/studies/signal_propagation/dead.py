"""ReLU networks that are born dead: constant before the first step, whatever their input.

Source: Lu, Shin, Su and Karniadakis, Dying ReLU and Initialization: Theory and Numerical
Examples, 2020 (arXiv 1903.06733), section 3.
"""

from __future__ import annotations

import numpy as np

from minidl.activations import ReLU
from minidl.study.estimates import Estimate, share

AT_A_TIME = 4_000_000  # weights that are drawn at a time


def bounds(width: int, depth: int) -> tuple[float, float]:
    """Bounds of the probability, for one input and ``depth`` − 1 hidden layers of ``width``.

    Weights are symmetric about 0 and biases 0.  With x = 2^−width, a₁ = 1 − x and
    a₂ = 1 − 2x − (width − 1) x²::

        1 − a₁^(L−2) − (1 − 2x)(1 − x) / (1 + (width − 1) x) (a₁^(L−2) − a₂^(L−2))
                                                          ≤ P ≤ 1 − (1 − x)^(L−1)
    """
    x, n, L = 2.0**-width, width, depth
    a1, a2 = 1 - x, 1 - 2 * x - (n - 1) * x * x
    lower = (
        1
        - a1 ** (L - 2)
        - (1 - 2 * x) * (1 - x) / (1 + (n - 1) * x) * (a1 ** (L - 2) - a2 ** (L - 2))
    )
    return max(0.0, lower), 1 - a1 ** (L - 1)


def dead_by_depth(width: int, depth: int, networks: int, seed: int) -> np.ndarray:
    """The number of constant networks for L = 2 … ``depth`` layers.  (depth − 1,)

    The input is one number.  Without biases relu(W relu(…)) is linear on either side of 0,
    so a network is constant if its signals for the inputs 1 and −1 have both become 0.
    """
    rng, f = np.random.default_rng(seed), ReLU()
    dead = np.zeros(depth - 1, int)
    for start in range(0, networks, max(1, AT_A_TIME // width**2)):
        count = min(max(1, AT_A_TIME // width**2), networks - start)
        y = f(rng.standard_normal((count, 1, width)) * np.array([[1.0], [-1.0]]))  # (R, 2, n)
        for i in range(depth - 1):
            alive = y.any(axis=(1, 2))
            dead[i] += count - int(alive.sum())
            y = f(y @ rng.normal(0, np.sqrt(2 / width), (count, width, width)))
    return dead


def dead_share(width: int, depth: int, networks: int, seed: int) -> list[Estimate]:
    """The share of dead networks for L = 2 … ``depth``."""
    return [share(int(n) / networks, networks) for n in dead_by_depth(width, depth, networks, seed)]
