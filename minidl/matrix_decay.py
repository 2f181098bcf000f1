"""AdamW whose weight decay leaves biases and normalizations alone."""

from __future__ import annotations

from typing import Any

from minidl.backend import Array, checks
from minidl.network import Network
from minidl.optimizers import Adam, AdamW


class MatrixDecay(AdamW):
    """:class:`~minidl.AdamW` with θ ← θ − η λ θ for the matrices W of a network alone.

    A penalty on large weights keeps a function smooth.  A bias moves it without making it
    steeper, and γ and β of a normalization are scales that the next layer can undo; decay
    would only bias them.  So BERT is trained with decay on the matrices, embeddings included.
    Source: Loshchilov and Hutter, ICLR 2019; Devlin et al., in the code that goes with BERT.

    Parameters
    ----------
    network : whose parameters it is to update; all those called W decay
    learning_rate, beta1, beta2, epsilon, weight_decay, clip_norm, epsilon_hat : as in AdamW
    """

    def __init__(
        self,
        network: Network,
        learning_rate: float = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        weight_decay: float = 0.01,
        clip_norm: float | None = None,
        epsilon_hat: bool = False,
    ) -> None:
        checks.instance("MatrixDecay", "network", network, Network)
        super().__init__(learning_rate, beta1, beta2, epsilon, weight_decay, clip_norm, epsilon_hat)
        self.matrices = []  # their places in θ
        start = 0
        for _, name, value, _ in network.parameters():
            if name == "W":
                self.matrices.append(slice(start, start + value.size))
            start += value.size

    def update(self, theta: Array, g: Array, *now: Any) -> None:
        *adam, decay = now
        for matrix in self.matrices:
            theta[matrix] *= decay
        Adam.update(self, theta, g, *adam)
