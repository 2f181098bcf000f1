"""The same training step in every library: one file each, loaded only in its own process.

A peer is made from a :class:`Problem` and has ``versions()``, ``run(rows)``, which
does one training step for each row of ``rows`` ``(steps, N)`` and returns when
all are done, ``steps()``, the updates that its optimizer itself has counted from the
common start, and ``loss(rows)``, the mean loss of one batch. Where the device has
a clock of its own, ``run`` returns the seconds by that clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

# Networks of minidl.models and torchvision.models: the name, and what is not as usual. The stem is
# the one for small images, followed by the max pool.
RESNETS: dict[str, tuple[str, dict[str, float]]] = {
    "ResNet-18": ("resnet18", {"stem_kernel": 3, "stem_stride": 1}),
    "ResNet-50, a quarter of the width": (
        "resnet50",
        {"stem_kernel": 3, "stem_stride": 1, "width": 0.25},
    ),
}


@dataclass(frozen=True)
class Problem:
    """The problem that every peer gets, so that all do the same work.

    The weights tell a "plain" network: a W of four axes is a convolution without padding, followed
    by the activation and a maximum over 2x2; a W of two axes is a dense layer. The last has no
    activation. A "residual" network is the small ResNet of ``conv_training.py``, as wide as its
    first W; the others are those of ``RESNETS``. minidl and PyTorch know these, the other peers
    dense layers only. For the peers of ``bert_training.py`` images are tokens, and ``kind`` is its
    sizes in JSON.
    """

    images: np.ndarray  # (examples, n_in), or (examples, C, height, width); uint8
    labels: np.ndarray  # (examples,) int64
    weights: list[
        np.ndarray
    ]  # W, b of each layer; W (n_in, n_out) or (C_out, C_in, kh, kw); float32
    activation: str  # "relu" or "sigmoid"
    batch_size: int
    kind: str = "plain"  # or "residual", or a name in RESNETS


class Peer(Protocol):
    def versions(self) -> dict[str, str]: ...
    def run(self, rows: np.ndarray) -> float | None: ...
    def steps(self) -> int: ...
    def loss(self, rows: np.ndarray) -> float: ...


class Entry(NamedTuple):
    """A row of the table: the module, the arguments of its make(), its environment, its device."""

    module: str
    options: dict[str, Any] = {}
    environment: dict[str, str] = {}
    device: str = "cpu"


def _on_gpu(module: str, **options: Any) -> Entry:
    return Entry(module, options | {"device": "cuda"}, {}, "cuda")


FIRST_STEPS = 10  # on one batch, before any timing: all must reach the same loss

# The first of each device is the one that the others are compared with.
PEERS = {
    "minidl": Entry("minidl_peer", {}, {"MINIDL_MKL": "0"}),
    "minidl with MKL": Entry("minidl_peer", {"with_mkl": True}),
    # OpenBLAS's threads spin after a matrix product, blocking the optimizer's threads, by
    # default for 2^26 cycles.
    "minidl, BLAS spins 2^19": Entry(
        "minidl_peer", {}, {"OPENBLAS_THREAD_TIMEOUT": "19", "MINIDL_MKL": "0"}
    ),
    "PyTorch eager": Entry("torch_peer", {"fused": False, "compiled": False}),
    "PyTorch fused Adam": Entry("torch_peer", {"fused": True, "compiled": False}),
    "PyTorch compiled": Entry("torch_peer", {"fused": True, "compiled": True}),
    "JAX jit": Entry("jax_peer"),
    "Keras fit": Entry("keras_peer"),
    "scikit-learn": Entry("sklearn_peer"),
    "Thinc": Entry("thinc_peer"),
    # They fine-tune a BERT, and know no other problem.
    "BERT in minidl": Entry("bert_minidl_peer", {}, {}, "cpu, BERT"),
    "BERT in transformers": Entry("bert_torch_peer", {}, {}, "cpu, BERT"),
    "BERT in transformers, SDPA, fused AdamW": Entry(
        "bert_torch_peer", {"attention": "sdpa", "fused": True}, {}, "cpu, BERT"
    ),
    "minidl, CUDA graph": _on_gpu("minidl_peer"),
    "minidl, launch by launch": _on_gpu("minidl_peer", graph=False),
    "PyTorch eager, GPU": _on_gpu("torch_peer", fused=False, compiled=False),
    "PyTorch fused Adam, GPU": _on_gpu("torch_peer", fused=True, compiled=False),
    "PyTorch reduce-overhead": _on_gpu("torch_peer", fused=True, compiled=True),
    "PyTorch CUDA graph": _on_gpu("torch_peer", fused=True, compiled=False, graph=True),
    "JAX jit, GPU": _on_gpu("jax_peer"),
}


def peers_on(device: str) -> list[str]:
    """The names of the peers that compute on ``"cpu"`` or ``"cuda"``, minidl first."""
    return [name for name, entry in PEERS.items() if entry.device == device]
