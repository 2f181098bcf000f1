"""What draws random numbers in a training step."""

from __future__ import annotations

import numpy as np

from minidl.backend.arrays import Array, namespace


class Random:
    """An object that draws random numbers in each training step, always on the CPU.

    It does so by itself when the step comes to it, unless :meth:`predraw` was called
    before: a step that is replayed on a GPU cannot draw on the CPU.  Where several processes share
    the batch, each draws the numbers of the whole batch and takes its rows.
    """

    rng: np.random.Generator | None = None  # None: it does not draw
    u: Array  # the numbers of the last step, where the batch was
    is_ahead: bool = False  # whether they are those of the coming step
    batch_rows: tuple[int, slice] | None = None  # examples of a shared batch; which are here

    def sample(self, shape: tuple[int, ...]) -> np.ndarray:
        """The numbers of one step, drawn from ``rng``."""
        raise NotImplementedError

    def random_numbers(self, shape: tuple[int, ...], like: Array, axis: int = 0) -> Array:
        """The numbers of this step, on the device of ``like``; ``axis`` is that of the examples."""
        if not self.is_ahead:
            self.u = namespace(like).asarray(self._sample_rows(shape, axis))
        self.is_ahead = False
        return self.u

    def _sample_rows(self, shape: tuple[int, ...], axis: int) -> np.ndarray:
        if self.batch_rows is None:
            return self.sample(shape)
        size, rows = self.batch_rows
        of_all = self.sample((*shape[:axis], size, *shape[axis + 1 :]))
        return of_all[(slice(None),) * axis + (rows,)]

    def predraw(self) -> None:
        """Draw for the coming step, as many as in the last one, into the same array."""
        self.u[...] = namespace(self.u).asarray(self.sample(self.u.shape))
        self.is_ahead = True
