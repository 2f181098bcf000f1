"""Stop once a validation loss no longer falls, and restore the best weights."""

from __future__ import annotations

import math
import weakref
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

import numpy as np

from minidl.backend import checks, to_numpy
from minidl.network import Network


@dataclass
class EarlyStopping:
    """Watch a loss after each epoch, keep the best weights, and say when to stop::

        stopping = EarlyStopping(patience=5)
        for epoch in train(network, examples, loss, Adam(), epochs=50):
            if stopping.update(network, evaluate(network, validation, loss).loss):
                break
        stopping.restore(network)

    An epoch is an improvement if ``value + min_delta`` is below the best value so far
    (the first epoch is).  :meth:`update` returns true at the
    ``patience``-th epoch in a row without one: with 5 and the best value in
    epoch 3, after epoch 8.  This is the rule of Keras's
    ``EarlyStopping(restore_best_weights=True)``, which also restores the best weights
    if training was not stopped early.  Unlike there, NaN and ∞ are never an
    improvement, not even in the first epoch.  Create a new object for each training run: it
    refuses a second network.  A checkpoint keeps it
    (``checkpoint.track("stopping", EarlyStopping(5))``).

    Parameters
    ----------
    patience : number of epochs in a row without an improvement, at least 1
    min_delta : how much smaller than the best a value has to be, at least 0
    """

    patience: int
    min_delta: float = 0.0
    best: float = math.inf  # the smallest value so far
    best_epoch: int = 0  # from 1; 0 before the first improvement
    epoch: int = 0  # how many values there have been
    kept: list[np.ndarray] = field(default_factory=list)  # θ and the layers' state at the best

    _network = None  # of the last update, as a weak reference; no checkpoint keeps it

    def __post_init__(self) -> None:
        self.patience = checks.integer("EarlyStopping", "patience", self.patience)
        self.min_delta = checks.not_negative("EarlyStopping", "min_delta", self.min_delta)

    def update(self, network: Network, value: float) -> bool:
        """Record the value after an epoch; return whether training should stop now."""
        checks.instance("EarlyStopping.update", "network", network, Network)
        if not isinstance(value, Real):
            raise ValueError(
                f"EarlyStopping.update: expected value to be a number, got {checks.describe(value)}"
            )
        if self._network is not None and self._network() is not network:
            raise ValueError(
                "EarlyStopping.update: expected the network of the earlier updates, got another; "
                "make a new EarlyStopping for each training run"
            )
        self._network = weakref.ref(network)
        self.epoch += 1
        if value + self.min_delta < self.best:  # false for NaN
            self.best = float(value)
            self.best_epoch = self.epoch
            self.kept = [to_numpy(array).copy() for array in (network.theta, network.state)]
        return self.epoch - self.best_epoch >= self.patience

    def __getstate__(self) -> dict[str, Any]:
        """A copy goes on with the first network that it gets, perhaps a copy, too."""
        return {name: value for name, value in vars(self).items() if name != "_network"}

    def restore(self, network: Network) -> None:
        """Restore the weights of the best epoch in ``network``.

        Raises
        ------
        RuntimeError
            if there has been no finite value yet.
        """
        if not self.kept:
            raise RuntimeError(
                "EarlyStopping: expected a finite value before restore, got none; "
                "call update(network, value) after each epoch"
            )
        if network.theta.shape != self.kept[0].shape:
            raise ValueError(
                f"EarlyStopping: expected the network of update, with {self.kept[0].size:,} "
                f"parameters, got one with {network.theta.size:,}"
            )
        for array, kept in zip((network.theta, network.state), self.kept, strict=True):
            array[...] = network.device.asarray(kept)
