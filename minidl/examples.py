"""Examples in memory: images stay bytes until the batch that needs them is drawn."""

from __future__ import annotations

import numpy as np

from minidl import kernels
from minidl.backend import CPU, Array, Device, Workspace, namespace, take_rows


class Examples(Workspace):
    """Inputs with their targets; a batch is turned into floats as it is drawn.

    Parameters
    ----------
    inputs : (N, …) array, ``uint8`` or floating point
    targets : (N,) integer class labels, or (N, …) floats
    divisor : the batch is ``inputs / divisor``; 255 for bytes and 1 for floats
        unless given

    Raises
    ------
    ValueError
        for empty arrays, lengths that differ, or types that are neither.
    """

    def __init__(self, inputs: Array, targets: Array, divisor: float | None = None) -> None:
        if inputs.ndim < 1 or targets.ndim < 1 or len(inputs) != len(targets) or not len(inputs):
            raise ValueError(
                "Examples: expected as many targets as inputs and at least one, got "
                f"inputs {inputs.shape} and targets {targets.shape}"
            )
        if inputs.dtype != np.uint8 and inputs.dtype.kind != "f":
            raise ValueError(
                f"Examples: expected uint8 or floating-point inputs, got {inputs.dtype}; "
                "convert them with inputs.astype('float32')"
            )
        if targets.dtype.kind not in "iuf":
            raise ValueError(
                f"Examples: expected integer labels or floating-point targets, got {targets.dtype}"
            )
        self.inputs = inputs  # (N, …)
        self.targets = targets  # (N,) or (N, …)
        if divisor is None:
            divisor = 255.0 if inputs.dtype == np.uint8 else 1.0
        if not 0 < divisor < np.inf:
            raise ValueError(f"Examples: expected a divisor above 0, got {divisor}")
        self.divisor = float(divisor)

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one example's input."""
        return tuple(self.inputs.shape[1:])

    def first(self, n: int) -> Examples:
        """The first ``n`` examples (all, where there are fewer), without a copy."""
        if n < 1:
            raise ValueError(f"Examples.first: expected n of at least 1, got {n}")
        return Examples(self.inputs[:n], self.targets[:n], self.divisor)

    def to(self, device: Device = CPU) -> Examples:
        """The same examples in the memory of ``device``, still as bytes."""
        return Examples(device.asarray(self.inputs), device.asarray(self.targets), self.divisor)

    def draw(self, rows: Array, dtype: np.dtype) -> tuple[Array, Array]:
        """The batch of the given rows: inputs ``(len(rows), …)`` as ``dtype``, and targets.

        Both arrays are this object's own and last until the next draw.
        """
        shape = (len(rows), *self.targets.shape[1:])
        targets = take_rows(self.targets, rows, self.buffer("targets", shape, self.targets))
        shape = (len(rows), *self.input_shape)
        if namespace(self.inputs) is not np:
            x = self.buffer("x", shape, self.inputs, dtype)
            kernels.take_scaled(self.inputs, rows, self.divisor, x)
            return x, targets
        raw = take_rows(self.inputs, rows, self.buffer("raw", shape, self.inputs))
        return self._scale(raw, dtype), targets

    def batch(self, start: int, stop: int, dtype: np.dtype) -> tuple[Array, Array]:
        """The batch of rows ``start`` to ``stop`` in their own order, as :meth:`draw` gives it."""
        return self._scale(self.inputs[start:stop], dtype), self.targets[start:stop]

    def _scale(self, raw: Array, dtype: np.dtype) -> Array:
        x = self.buffer("x", raw.shape, raw, dtype)
        x[...] = raw
        if self.divisor != 1.0:
            x /= self.divisor
        return x
