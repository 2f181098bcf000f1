"""AdamW without weight decay of biases and normalizations."""

from __future__ import annotations

from typing import Any

from minidl.backend import Array, checks
from minidl.network import Network
from minidl.optimizers import Adam, AdamW, Rate


class MatrixDecay(AdamW):
    """:class:`~minidl.AdamW` with θ ← θ − η λ θ only for the matrices of a network.

    A penalty on large weights keeps a function smooth.  A bias shifts the function without making
    it steeper, and the next layer can undo γ and β of a normalization, so decay
    would only bias them.  BERT is therefore trained with decay of the matrices, including
    embeddings.
    Source: Loshchilov and Hutter, ICLR 2019; Devlin et al., in the code published with BERT.

    Parameters
    ----------
    network : the network to update; all its parameters with two axes or more decay, such as W of
        Dense, Conv2D and Embedding, whatever a layer calls them
    learning_rate, beta1, beta2, epsilon, weight_decay, clip_norm, epsilon_hat : as in AdamW
    """

    def __init__(
        self,
        network: Network,
        learning_rate: Rate = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        weight_decay: float = 0.01,
        clip_norm: float | None = None,
        epsilon_hat: bool = False,
    ) -> None:
        checks.instance("MatrixDecay", "network", network, Network)
        super().__init__(learning_rate, beta1, beta2, epsilon, weight_decay, clip_norm, epsilon_hat)
        self._theta = network.theta
        self.matrices = _matrices(network)  # their slices of θ

    def expect_network(self, network: Network) -> None:
        super().expect_network(network)
        if self.matrices != _matrices(network):  # a copy
            raise ValueError(
                "MatrixDecay: expected the network that it was made for, or a copy of that, got "
                "one with other matrices; make a new optimizer for each network"
            )

    def update(self, theta: Array, g: Array, *now: Any) -> None:
        *adam, decay = now
        for matrix in self.matrices:
            theta[matrix] *= decay
        Adam.update(self, theta, g, *adam)


def _matrices(network: Network) -> list[slice]:
    found, start = [], 0
    for _, _, value, _ in network.parameters():
        if value.ndim >= 2:
            found.append(slice(start, start + value.size))
        start += value.size
    return found
