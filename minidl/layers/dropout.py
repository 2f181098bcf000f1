"""Dropout: noise in training, the identity in inference."""

from __future__ import annotations

from minidl.backend import Array, checks
from minidl.layers._random_layer import RandomLayer


class Dropout(RandomLayer):
    """y = x ∘ m in training; each m_i is 0 with probability ``rate``, otherwise 1 / (1 − rate).

    Backward: dx = dy ∘ m.  The expected value of y is x, so inference is y = x.
    Source: Srivastava et al., JMLR 15 (2014), in the "inverted" form of their
    section 10.  The mask is drawn anew at each training step; float32 and float64 networks
    drop the same units.
    """

    mask: Array | None = None  # m of the last forward, shape of x; None in inference

    def __init__(self, rate: float) -> None:
        self.rate = checks.fraction_below_one("Dropout", "rate", rate)

    @property
    def is_random(self) -> bool:
        return self.rate > 0

    def forward(self, x: Array, training: bool = False) -> Array:
        self.x = x
        self.mask = self._draw_mask(x) if training and self.is_random else None
        self.y = x if self.mask is None else x * self.mask
        return self.y

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        if not input_gradient:
            return None
        return dy if self.mask is None else dy * self.mask

    def _draw_mask(self, x: Array) -> Array:
        u = self.random_numbers(x.shape, like=x)
        return (u >= self.rate).astype(x.dtype) * (1 / (1 - self.rate))

    def __repr__(self) -> str:
        return f"Dropout({self.rate:g})"
