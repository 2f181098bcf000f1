"""PReLU: leaky ReLU whose slope on the left is learned."""

from __future__ import annotations

import numpy as np

from minidl import checks
from minidl.backend import Array
from minidl.layers.channelwise import Channelwise
from minidl.layers.images import buffer_like


class PReLU(Channelwise):
    """y = max(0, x) + α min(0, x), with one α for each unit or channel.

    Backward::

        dα = Σ dy ∘ min(0, x)                  (C,), over all but the channels
        dx = dy where x > 0, else α dy

    The kink is at 0, where the slope is α.  α starts at 0.25 and has no bounds.
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
        alpha = self._bound("alpha")
        checks.array(self, "x", x)
        self._expect_shape(x.shape)
        self._expect_like("x", x, alpha)
        self.x = x  # (N, C, …)
        self.y = y = buffer_like(self, "y", x)
        left = buffer_like(self, "left", x)
        np.minimum(x, 0, out=left)
        left *= self._spread(alpha, x)
        np.maximum(x, 0, out=y)
        y += left
        return y

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        self._expect_dy(dy)
        left = buffer_like(self, "left", dy)
        np.minimum(self.x, 0, out=left)
        left *= dy
        self._sum(left, out=self.dalpha)
        if not input_gradient:
            return None
        dx = buffer_like(self, "dx", dy)
        np.greater(self.x, 0, out=dx)
        dx *= dy  # dy where x > 0
        np.subtract(dy, dx, out=left)  # dy elsewhere
        left *= self._spread(self.alpha, dy)
        dx += left
        return dx
