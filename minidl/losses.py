"""Losses: value and gradient together, ``value, dlogits = loss(logits, targets)``.

Every loss is the mean over the batch, L = (1/N) Σ_n L_n; ``reduction="sum"``
leaves the 1/N away, for a probe that asks so.  Logits are what the last layer
gives without an activation: softmax and sigmoid are part of the loss, where
their logarithm is exact.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from minidl.activations import sigmoid
from minidl.backend import Array, Workspace, namespace


class Loss(Workspace):
    """Base of all: the check of the reduction.  An instance keeps scratch arrays."""

    name: ClassVar[str]

    def __call__(self, logits: Array, targets: Array, reduction: str = "mean") -> tuple[Any, Array]:
        """The value, a scalar on the device, and its gradient, the shape of ``logits``.

        The gradient is this object's own array and lasts until the next call.

        Raises
        ------
        ValueError
            for shapes or labels that do not fit, or another reduction.
        """
        if reduction not in ("mean", "sum"):
            raise ValueError(f"{self.name}: expected reduction 'mean' or 'sum', got {reduction!r}")
        if not len(logits):
            raise ValueError(f"{self.name}: expected at least one example, got {logits.shape}")
        self.check(logits, targets)
        dlogits = self.buffer("dlogits", logits.shape, logits)
        # A loss that is not finite is the caller's to report, with the place where it began.
        with np.errstate(all="ignore"):
            value = self.value_and_gradient(logits, targets, dlogits)
        if reduction == "mean":
            value /= len(logits)
            dlogits /= len(logits)
        return value, dlogits

    def check(self, logits: Array, targets: Array) -> None:
        """Raise ``ValueError`` where ``targets`` do not fit ``logits``."""
        if targets.shape != logits.shape or targets.dtype.kind != "f":
            raise ValueError(
                f"{self.name}: expected floating-point targets {logits.shape} like the logits, "
                f"got {targets.dtype} {targets.shape}"
            )

    def value_and_gradient(self, logits: Array, targets: Array, dlogits: Array) -> Any:
        """Σ_n L_n; its gradient is written into ``dlogits``."""
        raise NotImplementedError

    def hits(self, logits: Array, targets: Array) -> Any:
        """How many of the examples are answered right; NaN where that means nothing."""
        return math.nan

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class SoftmaxCrossEntropy(Loss):
    """L_n = −log p_t,  p = softmax(z);  ∂L_n/∂z_i = p_i − [i = t].

    ``logits`` z ``(N, C)``, ``targets`` t ``(N,)`` integers from 0 to C − 1.
    With the row maximum m taken out, −log p_t = log Σ_i e^(z_i − m) − (z_t − m).
    The target's own entry is computed as p_t − 1 = −Σ_{i≠t} p_i: the same
    number, but in float32 it does not cancel to 0 once p_t is close to 1.
    """

    name = "softmax cross-entropy"

    def check(self, logits: Array, targets: Array) -> None:
        N, C = logits.shape if logits.ndim == 2 else (0, 0)
        if C < 2 or targets.shape != (N,) or targets.dtype.kind not in "iu":
            raise ValueError(
                f"{self.name}: expected logits (N, C) and integer labels (N,), "
                f"got {logits.shape} and {targets.dtype} {targets.shape}"
            )
        low, high = int(targets.min()), int(targets.max())
        if low < 0 or high >= C:
            raise ValueError(f"{self.name}: expected labels from 0 to {C - 1}, got {low} to {high}")

    def value_and_gradient(self, logits: Array, targets: Array, dlogits: Array) -> Any:
        row = namespace(logits).arange(len(logits))
        e = dlogits
        np.subtract(logits, logits.max(axis=1, keepdims=True), out=e)  # z − m  (N, C)
        z_t = e[row, targets]  # (N,)
        np.exp(e, out=e)
        e_t = e[row, targets]
        e[row, targets] = 0
        others = e.sum(axis=1)  # Σ_{i≠t} e^(z_i − m)  (N,)
        total = others + e_t
        e[row, targets] = -others
        e /= total[:, None]  # p_i, and p_t − 1 for the target
        return (np.log(total) - z_t).sum()

    def hits(self, logits: Array, targets: Array) -> Any:
        """The examples whose largest logit is the target's."""
        return (logits.argmax(axis=1) == targets).sum()


class MeanSquaredError(Loss):
    """L_n = (1/K) Σ_k (y_k − t_k)²;  ∂L_n/∂y = (2/K) (y − t).

    ``logits`` are the predictions y ``(N, …)``, K numbers each; ``targets`` t
    have the same shape.  The mean is over the K outputs too, as PyTorch and
    Keras take it.
    """

    name = "mean squared error"

    def value_and_gradient(self, logits: Array, targets: Array, dlogits: Array) -> Any:
        K = logits[0].size
        np.subtract(logits, targets, out=dlogits)  # y − t
        flat = dlogits.reshape(-1)
        value = flat @ flat / K
        dlogits *= 2 / K
        return value


class BinaryCrossEntropy(Loss):
    """L_n = −(1/K) Σ_k [t_k log σ(z_k) + (1 − t_k) log σ(−z_k)];  ∂L_n/∂z = (σ(z) − t) / K.

    ``logits`` z ``(N, …)``, K numbers each; ``targets`` t of the same shape
    from 0 to 1.  −log σ(z) is computed as log(e^0 + e^(−z)) and the gradient as
    (1 − t) σ(z) − t σ(−z), which does not cancel for t = 0 or 1.
    """

    name = "binary cross-entropy"

    def check(self, logits: Array, targets: Array) -> None:
        super().check(logits, targets)
        low, high = float(targets.min()), float(targets.max())
        if not 0 <= low <= high <= 1:
            raise ValueError(f"{self.name}: expected targets from 0 to 1, got {low} to {high}")

    def value_and_gradient(self, logits: Array, targets: Array, dlogits: Array) -> Any:
        z, t = logits, targets
        K = z[0].size
        not_t = np.subtract(1, t, out=self.buffer("not_t", z.shape, z))  # 1 − t
        minus_z = np.negative(z, out=self.buffer("minus_z", z.shape, z))
        terms = self.buffer("terms", z.shape, z)

        np.logaddexp(0, minus_z, out=terms)  # −log σ(z)
        terms *= t
        value = terms.sum()
        np.logaddexp(0, z, out=terms)  # −log σ(−z)
        terms *= not_t
        value += terms.sum()

        sigmoid(z, dlogits)
        dlogits *= not_t
        sigmoid(minus_z, terms)
        terms *= t
        dlogits -= terms
        dlogits /= K
        return value / K

    def hits(self, logits: Array, targets: Array) -> Any:
        """The examples, counted in shares of their K answers, with z > 0 exactly where t > ½."""
        return ((logits > 0) == (targets > 0.5)).sum() / logits[0].size
