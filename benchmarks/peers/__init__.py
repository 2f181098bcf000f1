"""The same training step in every library: one file each, loaded only in its own process.

A peer is made from a :class:`Problem` and has ``versions()``, ``run(rows)``, which
does one training step for each row of ``rows`` ``(steps, N)`` and returns when
all are done, and ``loss(rows)``, the mean loss of one batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np


@dataclass(frozen=True)
class Problem:
    """What every peer is given, so that all do the same work.

    The weights tell the network: a W of four axes is a convolution without padding, followed by
    the activation and a maximum over 2x2; a W of two axes is a dense layer. The last has no
    activation. minidl and PyTorch know convolutions here, the other peers dense layers only.
    """

    images: np.ndarray  # (examples, n_in), or (examples, C, height, width); uint8
    labels: np.ndarray  # (examples,) int64
    weights: list[
        np.ndarray
    ]  # W, b of each layer; W (n_in, n_out) or (C_out, C_in, kh, kw); float32
    activation: str  # "relu" or "sigmoid"
    batch_size: int


class Peer(Protocol):
    def versions(self) -> dict[str, str]: ...
    def run(self, rows: np.ndarray) -> None: ...
    def loss(self, rows: np.ndarray) -> float: ...


class Entry(NamedTuple):
    """A row of the table: the module, the arguments of its make(), its environment."""

    module: str
    options: dict[str, Any] = {}
    environment: dict[str, str] = {}


PEERS = {
    "minidl": Entry("minidl_peer"),
    # OpenBLAS's threads spin after a matrix product, in the way of the optimizer's threads, for
    # 2^26 cycles unless told otherwise.
    "minidl, BLAS spins 2^19": Entry("minidl_peer", {}, {"OPENBLAS_THREAD_TIMEOUT": "19"}),
    "PyTorch eager": Entry("torch_peer", {"fused": False, "compiled": False}),
    "PyTorch fused Adam": Entry("torch_peer", {"fused": True, "compiled": False}),
    "PyTorch compiled": Entry("torch_peer", {"fused": True, "compiled": True}),
    "JAX jit": Entry("jax_peer"),
    "Keras fit": Entry("keras_peer"),
    "scikit-learn": Entry("sklearn_peer"),
    "Thinc": Entry("thinc_peer"),
}
