"""Sentences as tokens: padded in memory, and cut to the longest sentence of each batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minidl.backend import CPU, Array, Device, checks, get_device, to_numpy
from minidl.data.examples import Examples
from minidl.layers import Embedding, SelfAttention


class Sentences(Examples):
    """Rows of tokens with their targets, for a network whose first layer is an Embedding.

    A batch is as wide as its longest sentence, and :meth:`order` puts sentences of similar
    length into one batch, so that little is computed for padding.  On a GPU, every batch has the
    full width, since a recorded step has one shape.

    Parameters
    ----------
    inputs : (N, T) integers, each sentence from the first column on, followed by ``padding``
    targets : (N,) integer class labels, or (N, …) floats
    padding : the padding token, which must also be the ``padding`` of the Embedding

    Raises
    ------
    ValueError
        if types or shapes are wrong, tokens negative, or a sentence has no token.
    """

    are_tokens = True

    def __init__(
        self, inputs: Array, targets: Array, padding: int = 0, to_batch: bool = True
    ) -> None:
        self.padding = checks.integer("Sentences", "padding", padding, least=0)
        super().__init__(inputs, targets, divisor=1.0)
        self.to_batch = to_batch  # whether a batch is cut to its longest sentence
        columns = np.arange(1, inputs.shape[1] + 1)
        tokens = to_numpy(inputs) != self.padding
        self.lengths = np.max(tokens * columns, axis=1)  # (N,) on the CPU
        if not self.lengths.all():
            raise ValueError(
                f"Sentences: expected a token in each sentence, got only padding in sentence "
                f"{int(self.lengths.argmin())}"
            )

    @classmethod
    def of(
        cls,
        rows: Sequence[Sequence[int]],
        targets: Array,
        padding: int = 0,
    ) -> Sentences:
        """Sentences from these lists of tokens, padded to the longest one."""
        if not len(rows):
            raise ValueError("Sentences: expected at least one sentence, got none")
        inputs = np.full((len(rows), max(1, *map(len, rows))), padding, np.int32)
        for place, row in enumerate(rows):
            inputs[place, : len(row)] = row
        return cls(inputs, targets, padding)

    def check_inputs(self, inputs: Array) -> None:
        if inputs.dtype.kind not in "iu" or inputs.ndim != 2 or not inputs.shape[1]:
            raise ValueError(
                "Sentences: expected inputs to be integers (N, T), "
                f"got {inputs.dtype} {inputs.shape}"
            )
        if int(inputs.min()) < 0:
            raise ValueError(f"Sentences: expected tokens from 0, got {int(inputs.min())}")

    def check_network(self, owner: str, network: Any) -> None:
        """Also if padding would be taken for a token, and answers change with it."""
        super().check_network(owner, network)
        layers = list(network.walk())
        embedding = next((layer for layer in layers if isinstance(layer, Embedding)), None)
        if embedding is None or embedding.padding == self.padding:
            return
        attends = any(isinstance(la, SelfAttention) and not la.tokens for la in layers)
        is_padded = int(self.lengths.min()) < self.input_shape[0]
        if embedding.padding is not None or (attends and is_padded):
            raise ValueError(
                f"{owner}: expected an Embedding whose padding is that of the sentences, "
                f"{self.padding}, got {embedding!r}"
            )

    def to(self, device: str | Device = CPU) -> Sentences:
        """The same sentences in the memory of ``device``."""
        device = get_device(device)
        inputs, targets = device.asarray(self.inputs), device.asarray(self.targets)
        return Sentences(inputs, targets, self.padding, not device.is_cuda)

    def by_length(self) -> Sentences:
        """The same sentences, shortest first, which makes an evaluation faster."""
        order = np.argsort(self.lengths, kind="stable")
        return self.take(order)  # type: ignore[return-value]  # of the class that it is asked of

    def order(self, rng: np.random.Generator, batch_size: int) -> np.ndarray:
        """A random order of rows in which the sentences of a batch have similar lengths.

        The sentences are shuffled, then sorted by length, which keeps the random order among those
        of equal length, and cut into batches, which are shuffled.  If
        ``batch_size`` does not divide their number, the last batch, which is smaller, has
        sentences of any length.
        """
        drawn = rng.permutation(len(self))
        whole = len(self) - len(self) % batch_size
        most, rest = drawn[:whole], drawn[whole:]
        batches = most[np.argsort(self.lengths[most], kind="stable")].reshape(-1, batch_size)
        return np.concatenate([rng.permutation(batches).reshape(-1), rest])

    def _with(self, inputs: Array, targets: Array) -> Sentences:
        return Sentences(inputs, targets, self.padding, self.to_batch)

    def _take(self, rows: Array, dtype: np.dtype) -> Array:
        return self._scale(np.take(self.inputs, rows, axis=0), dtype)

    def _scale(self, raw: Array, dtype: np.dtype) -> Array:
        """The batch without the columns that contain only padding."""
        if not self.to_batch:
            return raw
        used = (raw != self.padding).any(axis=0)
        return raw[:, : int(np.flatnonzero(used)[-1]) + 1]
