"""PReLU: a leaky ReLU with a learned slope on the left."""

from __future__ import annotations

import numpy as np

from minidl.backend import Array
from minidl.layers._channelwise import Channelwise, blocks, empty_like, rows


class PReLU(Channelwise):
    """y = max(0, x) + α min(0, x), with one α per unit or channel.

    Backward::

        dα = Σ dy ∘ min(0, x)                  (C,), over all axes but the channels
        dx = dy where x > 0, else α dy

    The kink is at 0, where the slope is α.  α starts at 0.25 and is not bounded.
    Source: He et al., ICCV 2015, equations 1 to 3, the channel-wise form.

    Parameters
    ----------
    channels : units of the input (N, C), or channels of (N, C, H, W)
    """

    alpha: Array  # (C,)
    dalpha: Array

    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        return {"alpha": (self.channels,)}

    def initialize(self, rng: np.random.Generator) -> None:
        self.alpha[...] = 0.25

    def forward(self, x: Array, training: bool = False) -> Array:
        self.x = x  # (N, C, …)
        self.y, y = empty_like(x)
        x, alpha = rows(x), self.alpha[:, None]
        for c in blocks(x):
            y[c] = np.maximum(x[c], 0) + alpha[c] * np.minimum(x[c], 0)
        return self.y

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        dx, dx_rows = empty_like(dy)
        x, dy, alpha, dalpha = rows(self.x), rows(dy), self.alpha[:, None], self.dalpha[:, None]
        for c in blocks(x):
            dalpha[c] = (dy[c] * np.minimum(x[c], 0)).sum(axis=1, keepdims=True)
            if input_gradient:
                dx_rows[c] = np.where(x[c] > 0, dy[c], alpha[c] * dy[c])
        return dx if input_gradient else None
