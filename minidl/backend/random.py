"""What draws random numbers in a training step."""

from __future__ import annotations

import numpy as np

from minidl.backend.arrays import Array, namespace
from minidl.backend.part import Part


class Random:
    """An object that draws random numbers in each training step, always on the CPU.

    It does so by itself when the step comes to it, unless :meth:`predraw` was called
    before: a step that is replayed on a GPU cannot draw on the CPU.  Where only a ``part`` of the
    batch is here, the numbers are drawn for all of it, and those of the part are taken.
    """

    rng: np.random.Generator | None = None  # None: it does not draw
    u: Array  # the numbers of the last step, where the batch was
    is_ahead: bool = False  # whether they are those of the coming step
    part: Part | None = None  # of the batch, where other processes have the rest of it

    def sample(self, shape: tuple[int, ...]) -> np.ndarray:
        """The numbers of one step, drawn from ``rng``."""
        raise NotImplementedError

    def random_numbers(self, shape: tuple[int, ...], like: Array, axis: int = 0) -> Array:
        """The numbers of this step, on the device of ``like``; ``axis`` is that of the examples."""
        if not self.is_ahead:
            self.u = namespace(like).asarray(self._sample_part(shape, axis))
        self.is_ahead = False
        return self.u

    def _sample_part(self, shape: tuple[int, ...], axis: int) -> np.ndarray:
        if self.part is None:
            return self.sample(shape)
        whole = self.sample((*shape[:axis], self.part.size, *shape[axis + 1 :]))
        return whole[(slice(None),) * axis + (self.part.rows,)]

    def predraw(self) -> None:
        """Draw for the coming step, as many as in the last one, into the same array."""
        self.u[...] = namespace(self.u).asarray(self.sample(self.u.shape))
        self.is_ahead = True
