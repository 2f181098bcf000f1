"""What draws random numbers in a training step."""

from __future__ import annotations

import numpy as np

from minidl.backend.arrays import Array, namespace


class Random:
    """An object that draws random numbers in each training step, always on the CPU.

    It does so by itself when the step comes to it, unless :meth:`draw_ahead` was called
    before: a step that is replayed on a GPU cannot draw on the CPU.
    """

    rng: np.random.Generator | None = None  # None: it does not draw
    u: Array  # the numbers of the last step, where the batch was
    is_ahead: bool = False  # whether they are those of the coming step

    def sample(self, shape: tuple[int, ...]) -> np.ndarray:
        """The numbers of one step, drawn from ``rng``."""
        raise NotImplementedError

    def drawn(self, shape: tuple[int, ...], like: Array) -> Array:
        """The numbers of this step, on the device of ``like``."""
        if not self.is_ahead:
            self.u = namespace(like).asarray(self.sample(shape))
        self.is_ahead = False
        return self.u

    def draw_ahead(self) -> None:
        """Draw for the coming step, as many as in the last one, into the same array."""
        self.u[...] = namespace(self.u).asarray(self.sample(self.u.shape))
        self.is_ahead = True
