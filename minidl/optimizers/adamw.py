"""AdamW: Adam, and weight decay beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minidl.backend import Array, checks, is_array
from minidl.optimizers._base import Rate
from minidl.optimizers.adam import Adam


def is_matrix(name: str, value: Array) -> bool:
    """Whether a parameter has two axes or more: W of Dense, Conv2D and Embedding, not b, γ, β."""
    return value.ndim >= 2


class AdamW(Adam):
    """Adam after θ ← θ − η λ θ: weight decay separate from the adaptive step, not through it.

    A penalty on large weights keeps a function smooth.  A bias shifts the function without making
    it steeper, and the next layer can undo γ and β of a normalization, so BERT is trained with
    ``decays=is_matrix``, embeddings included.

    Source: Loshchilov and Hutter, ICLR 2019, algorithm 2, with the decay scaled
    by η as in PyTorch and Keras; Devlin et al., in the code published with BERT.

    Parameters
    ----------
    weight_decay : λ, a number, or a vector ``(P,)`` with one for each entry of θ
    decays : which parameters decay, by default all: a function of the name, such as
        ``"dense_1.W"``, and the array, for example :func:`is_matrix`
    learning_rate, beta1, beta2, epsilon, clip_norm, epsilon_hat : as in Adam
    """

    _parts: Sequence[slice] | None = None  # of θ that decay

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        weight_decay: float | Array = 0.01,
        clip_norm: float | None = None,
        epsilon_hat: bool = False,
        decays: Callable[[str, Array], bool] | None = None,
    ) -> None:
        super().__init__(
            learning_rate, beta1, beta2, epsilon, clip_norm=clip_norm, epsilon_hat=epsilon_hat
        )
        self.weight_decay: Any = _checked(weight_decay)
        self.decays = decays
        if decays is None:
            self._parts = [slice(None)]
        else:
            checks.function("AdamW", "decays", decays, "name", "value")

    def expect_network(self, network: Any) -> None:
        """Raise ``ValueError`` if the rule cannot train it; find out which parameters decay."""
        super().expect_network(network)
        if is_array(self.weight_decay) and self.weight_decay.shape != network.theta.shape:
            raise ValueError(
                f"AdamW: expected weight_decay {network.theta.shape} like θ, or a number, got "
                f"{self.weight_decay.shape}"
            )
        if self.decays is None:
            return
        parts = _parts(network, self.decays)
        if self.t and self._parts != parts:  # a copy
            raise ValueError(
                "AdamW: expected the network of the first step, or a copy of that, got one of "
                "which other parameters decay; make a new optimizer for each network"
            )
        self._parts = parts

    def coefficients(self, t: int) -> tuple[float, ...]:
        eta = self.rate(t)
        is_number = isinstance(self.weight_decay, float)
        return *super().coefficients(t), 1 - eta * self.weight_decay if is_number else eta

    def update(self, theta: Array, g: Array, *coefficients: Any) -> None:
        *numbers, decay = coefficients
        if self._parts is None:
            raise ValueError(
                "AdamW: expected to know which parameters decay; train and fit tell it, and so "
                "does optimizer.expect_network(network) before the first step"
            )
        for part in self._parts:
            if isinstance(self.weight_decay, float):
                theta[part] *= decay  # 1 − η λ
            else:
                theta[part] *= 1 - decay * self.weight_decay[part]
        super().update(theta, g, *numbers)


def _parts(network: Any, decays: Callable[[str, Array], bool]) -> list[slice]:
    """The parts of θ that decay; neighbours are one."""
    found: list[slice] = []
    start = 0
    for layer, name, value, _ in network.parameters():
        stop = start + value.size
        if decays(f"{layer.name}.{name}", value):
            first = found.pop().start if found and found[-1].stop == start else start
            found.append(slice(first, stop))
        start = stop
    return found


def _checked(weight_decay: Any) -> float | Array:
    """A number or a vector, finite and nowhere below 0."""
    if not is_array(weight_decay):
        return checks.not_negative("AdamW", "weight_decay", weight_decay)
    checks.floats("AdamW", "weight_decay", weight_decay)
    if not ((weight_decay >= 0) & (weight_decay < np.inf)).all():
        raise ValueError("AdamW: expected weight_decay of at least 0 everywhere, and finite")
    return weight_decay
