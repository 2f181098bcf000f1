"""What layers that draw a random number per entry in training share."""

from __future__ import annotations

import numpy as np

from minidl.layers._base import Layer


class RandomLayer(Layer):
    """Base of Dropout and RReLU: uniform numbers in the shape of x, from the layer's own generator.

    They are drawn anew at each training step, on the CPU and in float32 whatever the network's
    type, so that all types and devices see the same noise.
    """

    @property
    def is_random(self) -> bool:
        """Whether the layer has anything to draw."""
        raise NotImplementedError

    def initialize(self, rng: np.random.Generator) -> None:
        own = rng.spawn(1)[0]
        self.rng = own if self.is_random else None

    def sample(self, shape: tuple[int, ...]) -> np.ndarray:
        """Uniform numbers from 0 to 1."""
        if self.rng is None:
            raise RuntimeError(
                f"{self!r}: has no generator yet; call build(rng), or make it part of a Network"
            )
        return self.rng.random(shape, dtype=np.float32)
