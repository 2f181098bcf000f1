"""Examples in memory: images stay bytes until the batch that needs them is drawn."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from minidl.backend import CPU, Array, Device, checks, get_device, hints, namespace, to_numpy
from minidl.data import likeness, splitting
from minidl.kernel import kernel


class Examples:
    """Inputs with their targets; a batch is converted to floats when it is drawn.

    Parameters
    ----------
    inputs : (N, …) array, ``uint8`` or floating point
    targets : (N,) integer class labels, or (N, …) floats
    divisor : the batch is ``inputs / divisor``; by default 255 for bytes and 1 for
        floats
    mean, std : for images (N, C, H, W), one number per channel, in
        units of ``inputs / divisor``; the batch is then
        ``(inputs / divisor - mean) / std``

    Raises
    ------
    ValueError
        if arrays are empty, lengths differ, types are wrong, or mean
        and std do not match the channels.
    """

    are_tokens: ClassVar[bool] = False  # whether inputs are for an Embedding

    def __init__(
        self,
        inputs: Array,
        targets: Array,
        divisor: float | None = None,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
    ) -> None:
        for name, given in (("inputs", inputs), ("targets", targets)):
            checks.array("Examples", name, given)
        if inputs.ndim < 1 or targets.ndim < 1 or len(inputs) != len(targets) or not len(inputs):
            raise ValueError(
                "Examples: expected as many targets as inputs and at least one, got "
                f"inputs {inputs.shape} and targets {targets.shape}"
            )
        self.check_inputs(inputs)
        if targets.dtype.kind not in "iuf":
            hint = (
                "targets.astype('int64') are labels, and astype('float32') for BinaryCrossEntropy"
                if targets.dtype.kind == "b"
                else "numpy.unique(targets, return_inverse=True)[1] are labels of them"
            )
            raise ValueError(
                "Examples: expected integer labels or floating-point targets, got "
                f"{targets.dtype}; {hint}"
            )
        self.inputs = inputs  # (N, …)
        self.targets = targets  # (N,) or (N, …)
        if divisor is None:
            hints.pixels("Examples", "inputs", inputs)
            divisor = 255.0 if inputs.dtype == np.uint8 else 1.0
        self.divisor = checks.positive("Examples", "divisor", divisor)
        self.mean = None if mean is None else likeness.numbers("mean", mean)  # (C,)
        self.std = None if std is None else likeness.numbers("std", std)  # (C,)
        if self.mean is not None or self.std is not None:
            likeness.expect_channels(self)

    def check_inputs(self, inputs: Array) -> None:
        """Raise ``ValueError`` unless arrays like ``inputs`` can be made into a batch."""
        if inputs.dtype != np.uint8 and inputs.dtype.kind != "f":
            hint = hints.floats_hint("inputs", inputs)
            tokens = "; tokens are for Sentences" if inputs.dtype.kind in "iu" else ""
            raise ValueError(
                f"Examples: expected uint8 or floating-point inputs, got {inputs.dtype}; "
                f"{hint}{tokens}"
            )

    def check_network(self, owner: str, network: Any) -> None:
        """Raise ``ValueError`` unless the network can take the inputs."""
        if network.integer_input != self.are_tokens:
            kind = "Sentences" if network.integer_input else "Examples of numbers"
            raise ValueError(
                f"{owner}: expected {kind} for {network.layers[0]!r}, the first layer of the "
                f"network, got {type(self).__name__}"
            )
        if not network.accepts_shape(self.input_shape):
            shorter = ", or shorter" if self.are_tokens else ""
            hint = hints.shape_hint("inputs", self.inputs.shape, network.input_shape)
            raise ValueError(
                f"{owner}: expected examples of shape {network.input_shape} like the network's "
                f"input{shorter}, got {self.input_shape}{hint}"
            )
        network.check_tokens(self.inputs)

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one example's input."""
        return tuple(self.inputs.shape[1:])

    def digest(self) -> str:
        """The SHA-256 of everything that batches are made of."""
        digest = hashlib.sha256()
        for array in map(to_numpy, (self.inputs, self.targets)):
            digest.update(f"{array.dtype.str} {array.shape}\0".encode())
            digest.update(np.ascontiguousarray(array).data)
        digest.update(repr((self.divisor, self.mean, self.std)).encode())
        return digest.hexdigest()

    def first(self, n: int) -> Examples:
        """The first ``n`` examples (all if there are fewer), without a copy."""
        n = checks.integer("Examples.first", "n", n)
        return self._with(self.inputs[:n], self.targets[:n])

    def to(self, device: str | Device = CPU) -> Examples:
        """The same examples in the memory of ``device``, still as bytes."""
        if not isinstance(device, Device):
            device = get_device(device)
        inputs, targets = device.asarray(self.inputs), device.asarray(self.targets)
        is_there = inputs is self.inputs and targets is self.targets
        return self if is_there else self._with(inputs, targets)

    def take(self, rows: np.ndarray) -> Examples:
        """A copy of the examples with these row numbers, in this order (bytes stay bytes)."""
        rows = checks.indices("Examples.take", "rows", rows, len(self))
        rows = namespace(self.inputs).asarray(rows)
        return self._with(self.inputs[rows], self.targets[rows])

    def split(
        self, n: int, rng: np.random.Generator | int = 0, stratify: bool = False
    ) -> tuple[Examples, Examples]:
        """All but ``n`` examples, and ``n`` drawn by ``rng``; both in their original order.

        With ``stratify``, each class contributes the same share of its examples: of N_c,
        ⌊n N_c / N⌋, and one more in the classes with the largest remainders (``rng`` decides
        between equal ones) until there are ``n``.

        Raises
        ------
        ValueError
            unless both parts get an example; with ``stratify``, if there are no labels, or one
            that occurs once, whose class would be in one part alone.
        """
        if checks.integer("Examples.split", "n", n) >= len(self):
            raise ValueError(f"Examples.split: expected n from 1 to {len(self) - 1}, got {n}")
        rng = checks.generator("Examples.split", rng)
        checks.boolean("Examples.split", "stratify", stratify)
        if stratify and not self._has_labels:
            raise ValueError(
                "Examples: expected integer labels (N,), "
                f"got {self.targets.dtype} {self.targets.shape}"
            )
        drawn = splitting.drawn(len(self), n, rng, to_numpy(self.targets) if stratify else None)
        return self.take(np.flatnonzero(~drawn)), self.take(np.flatnonzero(drawn))

    def joined(self, other: Examples) -> Examples:
        """These examples followed by the ``other`` ones, which must have the same scaling."""
        checks.instance("Examples.joined", "other", other, Examples)
        likeness.expect_joinable(self, other)
        concatenate = namespace(self.inputs).concatenate
        return self._with(
            concatenate([self.inputs, other.inputs]), concatenate([self.targets, other.targets])
        )

    def can_be_stratified(self) -> bool:
        """Whether there are labels (N,), and none occurs just once."""
        return self._has_labels and splitting.single(to_numpy(self.targets)) is None

    def _with(self, inputs: Array, targets: Array) -> Examples:
        """Other arrays with the same scaling."""
        return Examples(inputs, targets, self.divisor, self.mean, self.std)

    def draw(
        self, rows: Array, dtype: np.dtype, augment: Callable[[Array], Array] | None = None
    ) -> tuple[Array, Array]:
        """The batch of the given rows: inputs ``(len(rows), …)`` as ``dtype``, and targets.

        ``augment``, for example a :class:`minidl.data.augmentation.Augmentation`, changes the
        drawn inputs before they are scaled.
        """
        targets = np.take(self.targets, rows, axis=0)
        if augment is None:
            return self._take(rows, dtype), targets
        return self._scale(augment(np.take(self.inputs, rows, axis=0)), dtype), targets

    def order(self, rng: np.random.Generator, batch_size: int) -> np.ndarray:
        """A new random order of the rows, to be cut into batches of ``batch_size``."""
        return rng.permutation(len(self))

    def batch(self, start: int, stop: int, dtype: np.dtype) -> tuple[Array, Array]:
        """The batch of rows ``start`` to ``stop`` in their original order, as in :meth:`draw`."""
        dtype = checks.float_type("Examples.batch", dtype)
        return self._scale(self.inputs[start:stop], dtype), self.targets[start:stop]

    def _take(self, rows: Array, dtype: np.dtype) -> Array:
        return self._normalize(take_numbers(self.inputs, rows, self.divisor, dtype))

    def _scale(self, raw: Array, dtype: np.dtype) -> Array:
        return self._normalize(as_numbers(raw, self.divisor, dtype))

    def _normalize(self, x: Array) -> Array:
        if self.mean is not None and self.std is not None:
            for channel, (mean, std) in enumerate(zip(self.mean, self.std, strict=True)):
                x[:, channel] -= mean
                x[:, channel] /= std
        return x

    @property
    def _has_labels(self) -> bool:
        return self.targets.dtype.kind in "iu" and self.targets.ndim == 1


@kernel
def take_numbers(inputs: Array, rows: Array, divisor: float, dtype: np.dtype) -> Array:
    """The given rows of ``inputs``, divided by ``divisor``, as numbers of this type."""
    return as_numbers(np.take(inputs, rows, axis=0), divisor, dtype)


def as_numbers(raw: Array, divisor: float, dtype: np.dtype) -> Array:
    """``raw / divisor`` as numbers of this type; a new array."""
    x = raw.astype(dtype)
    if divisor != 1.0:
        x /= divisor
    return x
