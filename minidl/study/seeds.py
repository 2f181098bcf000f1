"""The generators of a seed, and Keras's update rules: what the networks of a seed have alike."""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl.optimizers import OPTIMIZERS, Optimizer

# The defaults of Keras, which most of the studies used, where they are not minidl's.
LEARNING_RATES = {"sgd": 0.01, "rmsprop": 0.001, "adam": 0.001, "adamw": 0.001}
KERAS: dict[str, dict[str, Any]] = {
    "sgd": {},
    "rmsprop": {"rho": 0.9, "epsilon": 1e-7},
    "adam": {"epsilon": 1e-7, "epsilon_hat": True},
    "adamw": {"epsilon": 1e-7, "epsilon_hat": True, "weight_decay": 0.004},
}


def keras_optimizer(name: str, learning_rate: float | None = None, **more: Any) -> Optimizer:
    """The update rule with the defaults and in the form that it has in Keras."""
    rate = LEARNING_RATES[name] if learning_rate is None else learning_rate
    return OPTIMIZERS[name](rate, **KERAS[name], **more)


def weights_rng(seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, 0])


def batches_rng(seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, 1])


def split_rng(seed: int) -> np.random.Generator:
    """Of which images are for training and which for the test."""
    return np.random.default_rng([seed, 2])
