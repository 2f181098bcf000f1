"""Which token attends where: the attention in one sentence, head by head."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from minidl.backend import Array, to_numpy
from minidl.layers import SelfAttention
from minidl.network import Network

TOKENS = 32  # of a sentence, at most
SHARES = 255  # a share is kept as an integer from 0 to 255


@dataclass(frozen=True)
class AttentionSnapshot:
    """The probabilities of one attention layer: ``P / 255``, accurate to 0.2 percentage points."""

    name: str  # block_1.attention
    P: np.ndarray  # (heads, T, T) uint8: row i, how much token i attends to each token


def tokens_of(network: Network, x: Array, vocabulary: Sequence[str]) -> list[str]:
    """The tokens of the first sentence of ``x`` (N, T), as words if there is a vocabulary."""
    for layer in network.walk():
        if isinstance(layer, SelfAttention) and network.integer_input:
            row = to_numpy(x[0])[: _length(layer)]
            return [vocabulary[i] if i < len(vocabulary) else str(i) for i in row]
    return []


def attention_of(network: Network) -> Iterator[AttentionSnapshot]:
    """Every attention layer in the last forward pass, for the first sentence of the batch."""
    for layer in network.walk():
        if isinstance(layer, SelfAttention):
            T = _length(layer)
            P = np.rint(SHARES * to_numpy(layer.P[0, :, :T, :T]).astype(np.float64))
            yield AttentionSnapshot(layer.name, np.nan_to_num(P).astype(np.uint8))


def _length(layer: SelfAttention) -> int:
    """How many tokens of the first sentence are kept: no padding, but one in any case."""
    width = layer.P.shape[-1]
    length = width if layer.tokens is None else int(layer.tokens.mask[0].sum())
    return min(max(length, 1), TOKENS)
