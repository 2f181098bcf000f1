"""BERT: an embedding of tokens and positions, blocks of attention, and a classifier on top."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from minidl.activations import Activation
from minidl.backend import Array, Device, checks, namespace, to_numpy
from minidl.layers import (
    Dense,
    Dropout,
    Embedding,
    EncoderBlock,
    FirstToken,
    Layer,
    LayerNorm,
    PositionEmbedding,
)
from minidl.network import Network

STD = 0.02  # of the normal distribution that weights are drawn from


@dataclass(frozen=True)
class BertSizes:
    """The sizes of a BERT; by default those of bert-base-uncased.

    ``segments`` is the number of vectors for the sentences of a pair: all tokens get that
    of the first one, since minidl processes single sentences.
    """

    vocabulary: int = 30522
    features: int = 768  # D
    blocks: int = 12
    heads: int = 12
    hidden: int = 3072  # units of the feed-forward part
    positions: int = 512  # the longest sentence
    segments: int = 2
    activation: str = "gelu"
    epsilon: float = 1e-12  # of the normalizations
    padding: int = 0  # the padding token


class FirstSegment(Layer):
    """y = x + W_1: the vector that marks a token as part of the first sentence of a pair.

    BERT reads pairs of sentences; a single sentence is the first.  Backward::

        dW_1 = Σ dy over all tokens,   dx = dy

    and the vectors of the other segments have the gradient 0.

    Parameters
    ----------
    segments : how many vectors
    features : D of the input (N, T, D)
    """

    W: Array  # (segments, D)
    dW: Array

    def __init__(self, segments: int, features: int) -> None:
        self.segments = checks.integer("FirstSegment", "segments", segments)
        self.features = checks.integer("FirstSegment", "features", features)

    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        return {"W": (self.segments, self.features)}

    def initialize(self, rng: np.random.Generator) -> None:
        self.W[...] = namespace(self.W).asarray(normal(rng, self.W.shape, 1, 1))

    def forward(self, x: Array, training: bool = False) -> Array:
        self.x = x  # (N, T, D)
        self.y = x + self.W[0]
        return self.y

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        self.dW.fill(0)
        dy.sum(axis=(0, 1), out=self.dW[0])
        return dy if input_gradient else None

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        if len(input_shape) != 2 or input_shape[1] != self.features:
            raise self.misfit(f"(N, T, {self.features})", input_shape)
        return input_shape

    def __repr__(self) -> str:
        return f"FirstSegment({self.segments} x {self.features})"


def normal(rng: np.random.Generator, shape: tuple[int, ...], n_in: int, n_out: int) -> np.ndarray:
    """N(0, 0.02²), as for BERT's weights (Devlin et al. truncate it at two standard deviations)."""
    return rng.normal(0, STD, shape)


def bert(
    sizes: BertSizes | None = None,
    classes: int | None = 2,
    activation: str | Activation | None = None,
    dropout: float = 0.1,
    pre_norm: bool = False,
    rng: np.random.Generator | int = 0,
    dtype: Any = "float32",
    device: str | Device = "cpu",
) -> Network:
    """BERT with its initial weights; :func:`minidl.models.load_bert` has trained ones.

    The input is tokens (N, T): integers, with ``sizes.padding`` after the end of a sentence.  No
    token attends to padding, so the network needs nothing but the tokens.  The layers are
    ``tokens``, ``positions``, ``segments``, ``norm``, ``dropout``, ``block_1`` … and, with
    ``classes``, ``first``, ``pooler`` (a Dense with tanh), ``dropout_of_pooler``, ``classifier``.
    Source: Devlin et al., NAACL 2019.

    Parameters
    ----------
    sizes : how large it is, see :class:`BertSizes`
    classes : number of logits (N, classes); None for the states of the last block (N, T, D)
    activation : of the feed-forward parts, by default that of ``sizes``; a name, including
        ``"glu"`` and ``"swiglu"``, or an instance
    dropout : of the embedding, of both parts of each block, of the probabilities, and of the pooler
    pre_norm : see :class:`~minidl.layers.EncoderBlock`
    rng, dtype, device : see :class:`~minidl.Network`
    """
    sizes = BertSizes() if sizes is None else sizes
    checks.instance("bert", "sizes", sizes, BertSizes)
    D = sizes.features
    f = sizes.activation if activation is None else activation
    named: dict[str, Layer] = {
        "tokens": Embedding(sizes.vocabulary, D, sizes.padding, normal),
        "positions": PositionEmbedding(sizes.positions, D, normal),
        "segments": FirstSegment(sizes.segments, D),
        "norm": LayerNorm(D, sizes.epsilon),
        "dropout": Dropout(dropout),
    }
    for i in range(sizes.blocks):
        named[f"block_{i + 1}"] = EncoderBlock(
            D, sizes.heads, sizes.hidden, f, dropout, None, normal, sizes.epsilon, pre_norm
        )
    if classes is not None:
        named |= {
            "first": FirstToken(),
            "pooler": Dense(D, D, "tanh", normal),
            "dropout_of_pooler": Dropout(dropout),
            "classifier": Dense(D, classes, weights=normal),
        }
    for name, layer in named.items():
        layer.name = name
    return Network(list(named.values()), (sizes.positions,), rng, dtype, device)


def sentence_embeddings(network: Network, tokens: Array) -> np.ndarray:
    """One vector of length 1 per sentence: the normalized mean of the states of its tokens.  (N, D)

    ``network`` is made by :func:`bert` with ``classes=None``, ``tokens`` are integers (N, T).
    Similar sentences have similar vectors if the network was trained for it, as MiniLM was.
    Source: Reimers and Gurevych, Sentence-BERT, EMNLP 2019, section 3.
    """
    states = network.predict(tokens)  # (N, T, D)
    if states.ndim != 3:
        raise ValueError(
            "sentence_embeddings: expected a network that gives a state for each token, as bert "
            f"makes it with classes=None, got one that gives (N, {states.shape[1]})"
        )
    first = network["tokens"]
    assert isinstance(first, Embedding)
    is_token = (to_numpy(tokens) != first.padding)[:, :, None]  # (N, T, 1)
    if not (has_token := is_token.any(axis=(1, 2))).all():
        raise ValueError(
            "sentence_embeddings: expected a token in each sentence, got only padding in "
            f"sentence {int(has_token.argmin())}"
        )
    mean = (states * is_token).sum(axis=1) / is_token.sum(axis=1)
    return mean / np.linalg.norm(mean, axis=1, keepdims=True)
