"""Documented names of version 0.2: they work once more, with a warning, and go with 0.4."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from minidl._renamed import warn_renamed
from minidl.network import Network
from minidl.optimizers import AdamW, Optimizer, is_matrix

RENAMED = {"Chain": "Sequential", "Activate": "ActivationLayer"}  # in ``minidl``


def renamed(name: str) -> Any:
    """What ``minidl`` has under another name now."""
    if name in FUNCTIONS:
        return FUNCTIONS[name]
    if name not in RENAMED:
        raise AttributeError(f"module 'minidl' has no attribute {name!r}")
    warn_renamed(f"minidl.{name}", f"minidl.{RENAMED[name]}")
    return getattr(importlib.import_module("minidl"), RENAMED[name])


def by_step(optimizer: Optimizer, schedule: Callable[[int], float]) -> Optimizer:
    """Use ``optimizer.learning_rate = schedule``, which this does."""
    warn_renamed("by_step(optimizer, schedule)", "optimizer.learning_rate = schedule")
    optimizer.learning_rate = schedule
    return optimizer


def MatrixDecay(network: Network, *options: Any, **named: Any) -> AdamW:
    """Use ``AdamW(…, decays=is_matrix)``, which this makes."""
    warn_renamed("MatrixDecay(network, …)", "AdamW(…, decays=minidl.optimizers.is_matrix)")
    optimizer = AdamW(*options, **named | {"decays": is_matrix})
    optimizer.expect_network(network)
    return optimizer


FUNCTIONS = {"by_step": by_step, "MatrixDecay": MatrixDecay}
