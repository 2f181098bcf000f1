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

from minidl import checks, kernels
from minidl.activations import sigmoid
from minidl.backend import Array, Workspace, namespace


class Loss(Workspace):
    """Base of all: checks, memory and the mean.  An instance keeps scratch arrays."""

    name: ClassVar[str] = "loss"

    def __call__(self, logits: Array, targets: Array, reduction: str = "mean") -> tuple[Any, Array]:
        """The value, a scalar on the device, and its gradient, the shape of ``logits``.

        The gradient is this object's own array and lasts until the next call.

        Raises
        ------
        ValueError
            for shapes or labels that do not fit, or another reduction.
        TypeError
            for logits and targets on different devices.
        """
        if reduction not in ("mean", "sum"):
            raise ValueError(f"{self.name}: expected reduction 'mean' or 'sum', got {reduction!r}")
        checks.floats(self.name, "logits", logits)
        checks.array(self.name, "targets", targets)
        if namespace(logits) is not namespace(targets):
            raise TypeError(
                f"{self.name}: expected logits and targets on the same device, got "
                f"{namespace(logits).__name__} and {namespace(targets).__name__} arrays; "
                "move them with device.asarray(targets)"
            )
        if not logits.size:
            raise ValueError(f"{self.name}: expected at least one example, got {logits.shape}")
        self.check_shapes(logits.shape, targets)
        self.check_values(logits.shape, targets)
        divisor = len(logits) if reduction == "mean" else 1
        losses, dlogits = self.terms(logits, targets, divisor)
        with np.errstate(all="ignore"):
            return losses.sum() / divisor, dlogits

    def terms(self, logits: Array, targets: Array, divisor: int = 1) -> tuple[Array, Array]:
        """L_n of each example ``(N,)`` and the gradient of (1/divisor) Σ_n L_n; checks nothing.

        Both arrays are this object's own.  On a GPU this waits for nothing.
        """
        losses = self.buffer("losses", logits.shape[:1], logits)
        dlogits = self.buffer("dlogits", logits.shape, logits)
        # A loss that is not finite is the caller's to report, with the place where it began.
        with np.errstate(all="ignore"):
            self.each(logits, targets, divisor, losses, dlogits)
        return losses, dlogits

    def each(
        self, logits: Array, targets: Array, divisor: int, losses: Array, dlogits: Array
    ) -> None:
        """Write L_n into ``losses`` and (1/divisor) ∂L_n/∂logits into ``dlogits``."""
        raise NotImplementedError

    def hits(self, logits: Array, targets: Array, out: Array) -> Array:
        """1 in ``out`` ``(N,)`` for each example answered right, else 0; NaN for a regression."""
        out.fill(math.nan)
        return out

    def check_shapes(self, shape: tuple[int, ...], targets: Array) -> None:
        """Raise ``ValueError`` where ``targets`` do not fit logits of ``shape`` (shape, type)."""
        if targets.shape != shape or targets.dtype.kind != "f":
            raise ValueError(
                f"{self.name}: expected floating-point targets {shape} like the logits, "
                f"got {targets.dtype} {targets.shape}"
            )

    def check_values(self, shape: tuple[int, ...], targets: Array) -> None:
        """Raise ``ValueError`` where values of ``targets`` do not fit; reads all of them."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class SoftmaxCrossEntropy(Loss):
    """L_n = −log p_t,  p = softmax(z);  ∂L_n/∂z_i = p_i − [i = t].

    ``logits`` z ``(N, C)``, ``targets`` t ``(N,)`` integers from 0 to C − 1.
    With the row maximum m taken out, −log p_t = log Σ_i e^(z_i − m) − (z_t − m).
    Once p_t is close to 1, two numbers would lose their digits beside that 1, so the
    logarithm is log1p of the sum without it, and the target's own entry of the
    gradient is computed as p_t − 1 = −Σ_{i≠t} p_i.
    """

    name = "softmax cross-entropy"

    def check_shapes(self, shape: tuple[int, ...], targets: Array) -> None:
        N, C = shape if len(shape) == 2 else (0, 0)
        if C < 2 or targets.shape != (N,) or targets.dtype.kind not in "iu":
            raise ValueError(
                f"{self.name}: expected logits (N, C) and integer labels (N,), "
                f"got {shape} and {targets.dtype} {targets.shape}"
            )

    def check_values(self, shape: tuple[int, ...], targets: Array) -> None:
        low, high = int(targets.min()), int(targets.max())
        if low < 0 or high >= shape[1]:
            raise ValueError(
                f"{self.name}: expected labels from 0 to {shape[1] - 1}, got {low} to {high}"
            )

    def each(
        self, logits: Array, targets: Array, divisor: int, losses: Array, dlogits: Array
    ) -> None:
        if namespace(logits) is not np:
            kernels.softmax_cross_entropy(logits, targets, divisor, losses, dlogits)
            return
        row = np.arange(len(logits))
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
        e /= divisor
        np.log1p(others - (1 - e_t), out=losses)  # log total
        losses -= z_t

    def hits(self, logits: Array, targets: Array, out: Array) -> Array:
        """1 where the largest logit is the target's."""
        if namespace(logits) is np:
            np.equal(logits.argmax(axis=1), targets, out=out, casting="unsafe")
        else:
            kernels.largest_is_target(logits, targets, out)
        return out


class MeanSquaredError(Loss):
    """L_n = (1/K) Σ_k (y_k − t_k)²;  ∂L_n/∂y = (2/K) (y − t).

    ``logits`` are the predictions y ``(N, …)``, K numbers each; ``targets`` t
    have the same shape.  The mean is over the K outputs too, as PyTorch and
    Keras take it.
    """

    name = "mean squared error"

    def each(
        self, logits: Array, targets: Array, divisor: int, losses: Array, dlogits: Array
    ) -> None:
        N = len(logits)
        square = self.buffer("square", logits.shape, logits)
        np.subtract(logits, targets, out=dlogits)  # y − t
        np.multiply(dlogits, dlogits, out=square)
        square.reshape(N, -1).mean(axis=1, out=losses)
        dlogits *= 2 / logits[0].size
        dlogits /= divisor


class BinaryCrossEntropy(Loss):
    """L_n = −(1/K) Σ_k [t_k log σ(z_k) + (1 − t_k) log σ(−z_k)];  ∂L_n/∂z = (σ(z) − t) / K.

    ``logits`` z ``(N, …)``, K numbers each; ``targets`` t of the same shape
    from 0 to 1.  −log σ(z) is computed as log(e^0 + e^(−z)) and the gradient as
    (1 − t) σ(z) − t σ(−z), which does not cancel for t = 0 or 1.
    """

    name = "binary cross-entropy"

    def check_values(self, shape: tuple[int, ...], targets: Array) -> None:
        low, high = float(targets.min()), float(targets.max())
        if not 0 <= low <= high <= 1:
            raise ValueError(f"{self.name}: expected targets from 0 to 1, got {low} to {high}")

    def each(
        self, logits: Array, targets: Array, divisor: int, losses: Array, dlogits: Array
    ) -> None:
        z, t = logits, targets
        K = z[0].size
        not_t = np.subtract(1, t, out=self.buffer("not_t", z.shape, z))  # 1 − t
        minus_z = np.negative(z, out=self.buffer("minus_z", z.shape, z))
        terms = self.buffer("terms", z.shape, z)

        np.logaddexp(0, minus_z, out=terms)  # −log σ(z)
        terms *= t
        np.logaddexp(0, z, out=dlogits)  # −log σ(−z)
        dlogits *= not_t
        terms += dlogits
        terms.reshape(len(z), -1).mean(axis=1, out=losses)

        sigmoid(z, dlogits)
        dlogits *= not_t
        sigmoid(minus_z, terms)
        terms *= t
        dlogits -= terms
        dlogits /= K * divisor

    def hits(self, logits: Array, targets: Array, out: Array) -> Array:
        """The share of an example's K answers with z > 0 exactly where t > ½."""
        right = (logits > 0) == (targets > 0.5)
        return right.reshape(len(right), -1).mean(axis=1, out=out)
