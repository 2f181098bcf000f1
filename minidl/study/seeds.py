"""The random generators of a seed, and update rules as in Keras."""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl.optimizers import OPTIMIZERS, Optimizer

# Keras's defaults that differ from minidl's; most of the published studies used Keras.
LEARNING_RATES = {"sgd": 0.01, "rmsprop": 0.001, "adam": 0.001, "adamw": 0.001}
KERAS: dict[str, dict[str, Any]] = {
    "sgd": {},
    "rmsprop": {"rho": 0.9, "epsilon": 1e-7},
    "adam": {"epsilon": 1e-7, "epsilon_hat": True},
    "adamw": {"epsilon": 1e-7, "epsilon_hat": True, "weight_decay": 0.004},
}


def keras_optimizer(name: str, learning_rate: float | None = None, **more: Any) -> Optimizer:
    """The update rule in the form and with the defaults that it has in Keras."""
    rate = LEARNING_RATES[name] if learning_rate is None else learning_rate
    return OPTIMIZERS[name](rate, **KERAS[name], **more)


def weights_rng(seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, 0])


def batches_rng(seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, 1])


def split_rng(seed: int) -> np.random.Generator:
    """The generator that divides the images into training and test images."""
    return np.random.default_rng([seed, 2])
