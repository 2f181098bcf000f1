"""PReLU: a leaky ReLU with a learned slope on the left."""

from __future__ import annotations

import numpy as np
from numpy import maximum, minimum, where

from minidl.backend import Array
from minidl.layers._channelwise import (
    Channelwise,
    channel_blocks,
    channel_rows,
    columns,
    total,
)


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

    def forward_rows(self, x: Array, y: Array, training: bool) -> None:
        (alpha,) = columns(self.alpha)  # (C, 1)
        for c in channel_blocks(x):
            y[c] = maximum(x[c], 0) + alpha[c] * minimum(x[c], 0)

    def backward_rows(self, dy: Array, dx: Array | None) -> None:
        x, (alpha,) = channel_rows(self.x), columns(self.alpha)  # (C, m), (C, 1)
        for c in channel_blocks(x):
            self.dalpha[c] = total(dy[c] * minimum(x[c], 0))
            if dx is not None:
                dx[c] = where(x[c] > 0, dy[c], alpha[c] * dy[c])
