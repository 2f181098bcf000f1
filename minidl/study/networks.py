"""Set-ups in which dense networks are trained."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

from minidl.backend import Device
from minidl.layers import Dense, Dropout, Flatten, Layer
from minidl.network import Network
from minidl.optimizers import Optimizer
from minidl.study.seeds import LEARNING_RATES, keras_optimizer, weights_rng


@dataclass(frozen=True)
class DenseSetUp:
    """One way to train dense networks that differ only in their activation function."""

    title: str
    hidden: tuple[int, ...]
    rule: str  # the update rule, in Keras's form and with its defaults
    batch_size: int
    rate: float | None = None  # None: Keras's default
    momentum: float = 0.0
    dropout: float = 0.0  # after each hidden layer

    def network(
        self, activation: str, shape: tuple[int, ...], classes: int, seed: int, device: Device
    ) -> Network:
        """A network for images, with Glorot-uniform weights and zero biases, as in Keras.

        The loss applies the softmax.  All activation functions start from the same weights.
        """
        sizes = [math.prod(shape), *self.hidden]
        layers: list[Layer] = [Flatten()]
        for n_in, n_out in itertools.pairwise(sizes):
            layers.append(Dense(n_in, n_out, activation))
            if self.dropout:
                layers.append(Dropout(self.dropout))
        layers.append(Dense(sizes[-1], classes))
        return Network(layers, shape, rng=weights_rng(seed), device=device)

    def optimizer(self) -> Optimizer:
        momentum = {"momentum": self.momentum} if self.momentum else {}
        return keras_optimizer(self.rule, self.rate, **momentum)

    def as_dict(self, inputs: int, classes: int) -> dict[str, Any]:
        """A description for ``summary.json``."""
        sizes = "-".join(map(str, (inputs, *self.hidden, classes)))
        dropout = f", dropout {self.dropout:g} after each hidden layer" if self.dropout else ""
        rate = LEARNING_RATES[self.rule] if self.rate is None else self.rate
        return {
            "network": sizes + dropout,
            "optimizer": f"{self.rule}, learning rate {rate:g}",
            "batch_size": self.batch_size,
        }
