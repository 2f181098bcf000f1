"""Losses: value and gradient together, ``value, dlogits = loss(logits, targets)``.

Every loss is the mean over the batch, L = (1/N) Σ_n L_n; ``reduction="sum"``
omits the 1/N, for probes that need it.  Logits are the output of the last layer
without an activation function: softmax and sigmoid are part of the loss, where
their logarithm is accurate.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from minidl._renamed import OF_LOSSES, take_old_names
from minidl._target_hints import as_labels, like_logits
from minidl.activations import Activation, sigmoid
from minidl.backend import Array, checks, namespace, special, to_numpy
from minidl.kernel import kernel
from minidl.layers import Sequential


class Loss:
    """Base class: the checks and the mean.  A subclass writes ``per_example(z, t)``."""

    name: ClassVar[str] = "loss"
    output_activation: ClassVar[str] = ""  # the activation function that is part of the loss

    def __init_subclass__(cls) -> None:
        take_old_names(cls, OF_LOSSES)

    def __call__(self, logits: Array, targets: Array, reduction: str = "mean") -> tuple[Any, Array]:
        """The value, a scalar on the device, and its gradient, with the shape of ``logits``.

        Raises
        ------
        ValueError
            if shapes or labels do not match, or ``reduction`` is unknown.
        TypeError
            if logits and targets are on different devices.
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
        with np.errstate(all="ignore"):  # what is not finite shows in the value
            losses, dlogits = self.per_example(logits, targets)
            return losses.sum() / divisor, dlogits / divisor

    def per_example(self, z: Array, t: Array) -> tuple[Array, Array]:
        """L_n of each example ``(N,)``, and ∂L_n/∂z in the shape of the logits ``z``; no checks.

        On a GPU this does not wait.
        """
        raise NotImplementedError

    def correct(self, logits: Array, targets: Array) -> Array:
        """1 for each example answered correctly, else 0 ``(N,)``; NaN for a regression."""
        return namespace(logits).full(len(logits), math.nan, logits.dtype)

    def constant_baseline(self, targets: Array) -> float:
        """The lowest loss that a constant answer to all examples can have; NaN if unknown."""
        return math.nan

    def expect_logits(self, owner: str, network: Any) -> None:
        """Warn if the last layer already applies the function that is part of the loss."""
        last = network
        while isinstance(last, Sequential):
            last = last.layers[-1]
        f = getattr(last, "f", None)
        if isinstance(f, Activation) and f.name == self.output_activation:
            checks.warn(
                f"{owner}: expected logits for {self!r}, which applies {f.name} itself, got those "
                f"of {last!r}, to which it is applied already; leave the activation of the last "
                "layer out"
            )

    def check_shapes(self, shape: tuple[int, ...], targets: Array) -> None:
        """Raise ``ValueError`` if shape or type of ``targets`` do not match logits of ``shape``."""
        if targets.shape != shape or targets.dtype.kind != "f":
            raise ValueError(
                f"{self.name}: expected floating-point targets {shape} like the logits, "
                f"got {targets.dtype} {targets.shape}; {like_logits(shape, targets)}"
            )

    def check_values(self, shape: tuple[int, ...], targets: Array) -> None:
        """Raise ``ValueError`` if values of ``targets`` are out of range; reads all of them."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


@kernel
def softmax_cross_entropy(z: Array, t: Array) -> tuple[Array, Array]:
    """L_n and ∂L_n/∂z of each example, see :class:`SoftmaxCrossEntropy`."""
    row = np.arange(len(z))
    z = z - z.max(axis=1, keepdims=True)  # the same softmax, and no overflow  (N, C)
    e = np.exp(z)
    others = np.where(t[:, None] == np.arange(z.shape[1]), 0, e).sum(axis=1)  # Σ_{i≠t} e_i
    e_t = e[row, t]  # (N,)
    total = others + e_t
    dz = e / total[:, None]  # p_i
    dz[row, t] = -others / total  # p_t − 1
    return np.log1p(others - (1 - e_t)) - z[row, t], dz  # log total − z_t


class SoftmaxCrossEntropy(Loss):
    """L_n = −log p_t,  p = softmax(z);  ∂L_n/∂z_i = p_i − [i = t].

    ``logits`` z ``(N, C)``, ``targets`` t ``(N,)`` integers from 0 to C − 1.
    With the row maximum m subtracted, −log p_t = log Σ_i e^(z_i − m) − (z_t − m).
    If p_t is close to 1, both results would lose their digits next to that 1, so the
    logarithm is log1p of the sum without it, and the target's own entry of the
    gradient is computed as p_t − 1 = −Σ_{i≠t} p_i.
    """

    name = "softmax cross-entropy"
    output_activation = "softmax"

    def check_shapes(self, shape: tuple[int, ...], targets: Array) -> None:
        N, C = shape if len(shape) == 2 else (0, 0)
        if C < 2 or targets.shape != (N,) or targets.dtype.kind not in "iu":
            raise ValueError(
                f"{self.name}: expected logits (N, C) and integer labels (N,), "
                f"got {shape} and {targets.dtype} {targets.shape}{as_labels(shape, targets)}"
            )

    def constant_baseline(self, targets: Array) -> float:
        """The entropy of the labels: softmax(z) is then the frequency of each class."""
        share = np.unique(to_numpy(targets), return_counts=True)[1] / len(targets)
        return float(-(share * np.log(share)).sum())

    def check_values(self, shape: tuple[int, ...], targets: Array) -> None:
        low, high = int(targets.min()), int(targets.max())
        if low < 0 or high >= shape[1]:
            raise ValueError(
                f"{self.name}: expected labels from 0 to {shape[1] - 1}, got {low} to {high}"
            )

    def per_example(self, z: Array, t: Array) -> tuple[Array, Array]:
        return softmax_cross_entropy(z, t)

    @kernel
    def correct(self, logits: Array, targets: Array) -> Array:
        """1 where the largest logit is the target's, else 0."""
        return (logits.argmax(axis=1) == targets).astype(logits.dtype)


class MeanSquaredError(Loss):
    """L_n = (1/K) Σ_k (y_k − t_k)²;  ∂L_n/∂y = (2/K) (y − t).

    ``logits`` are the predictions y ``(N, …)``, K numbers each; ``targets`` t
    have the same shape.  The mean also goes over the K outputs, as in PyTorch and
    Keras.
    """

    name = "mean squared error"

    def constant_baseline(self, targets: Array) -> float:
        """The variance of the targets: the constant answer is their mean."""
        return float(to_numpy(targets).var(axis=0, dtype=np.float64).mean())

    def per_example(self, z: Array, t: Array) -> tuple[Array, Array]:
        difference = z - t
        K = z[0].size
        return _mean(difference**2), difference * (2 / K)


class BinaryCrossEntropy(Loss):
    """L_n = −(1/K) Σ_k [t_k log σ(z_k) + (1 − t_k) log σ(−z_k)];  ∂L_n/∂z = (σ(z) − t) / K.

    ``logits`` z ``(N, …)``, K numbers each; ``targets`` t with the same shape,
    from 0 to 1.  −log σ(z) is computed as log(e^0 + e^(−z)) and the gradient as
    (1 − t) σ(z) − t σ(−z), which does not cancel for t = 0 or 1.
    """

    name = "binary cross-entropy"
    output_activation = "sigmoid"

    def constant_baseline(self, targets: Array) -> float:
        """The entropy of the mean targets: σ(z) is then equal to them."""
        p = to_numpy(targets).mean(axis=0, dtype=np.float64)
        return float(special(p).entr([p, 1 - p]).sum(axis=0).mean())

    def check_values(self, shape: tuple[int, ...], targets: Array) -> None:
        low, high = float(targets.min()), float(targets.max())
        if not 0 <= low <= high <= 1:
            raise ValueError(f"{self.name}: expected targets from 0 to 1, got {low} to {high}")

    def per_example(self, z: Array, t: Array) -> tuple[Array, Array]:
        K = z[0].size
        losses = t * np.logaddexp(0, -z) + (1 - t) * np.logaddexp(0, z)
        return _mean(losses), ((1 - t) * sigmoid(z) - t * sigmoid(-z)) / K

    def correct(self, logits: Array, targets: Array) -> Array:
        """The share of an example's K outputs for which z > 0 agrees with t > ½."""
        return _mean(((logits > 0) == (targets > 0.5)).astype(logits.dtype))


def _mean(values: Array) -> Array:
    """The mean over all axes but the first: (N,)."""
    return values.reshape(len(values), -1).mean(axis=1)
