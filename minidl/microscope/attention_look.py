"""Which token looks where: the attention of one sentence, head by head."""

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
class AttentionLook:
    """The probabilities of one layer of attention: ``P / 255`` is right to 0.2 per cent points."""

    name: str  # block_1.attention
    P: np.ndarray  # (heads, T, T) uint8: row i, how much token i looks at each token


def tokens_of(network: Network, x: Array, vocabulary: Sequence[str]) -> list[str]:
    """The tokens of the first sentence of ``x`` (N, T), in words where there is a vocabulary."""
    for layer in network.walk():
        if isinstance(layer, SelfAttention) and network.takes_integers:
            row = to_numpy(x[0])[: _length(layer)]
            return [vocabulary[i] if i < len(vocabulary) else str(i) for i in row]
    return []


def attention_of(network: Network) -> Iterator[AttentionLook]:
    """Every layer of attention in the last forward, on the first sentence of the batch."""
    for layer in network.walk():
        if isinstance(layer, SelfAttention):
            T = _length(layer)
            P = np.rint(SHARES * to_numpy(layer.P[0, :, :T, :T]).astype(np.float64))
            yield AttentionLook(layer.name, np.nan_to_num(P).astype(np.uint8))


def _length(layer: SelfAttention) -> int:
    """Of the first sentence without its padding, or of as much of it as is kept."""
    width = layer.P.shape[-1]
    length = width if layer.tokens is None else int(layer.tokens.mask[0].sum())
    return min(length, TOKENS)
