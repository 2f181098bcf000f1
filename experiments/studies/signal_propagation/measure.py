"""Networks at initialization, compared with theory: by layer, by width, with BatchNorm.

Every number that depends on chance is an :class:`~minidl.study.estimates.Estimate` over seeds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import numpy as np

from minidl import (
    ActivationLayer,
    BatchNorm,
    Dense,
    Examples,
    Flatten,
    Network,
    SoftmaxCrossEntropy,
)
from minidl.backend import Array
from minidl.initializers import Initializer
from minidl.losses import Loss
from minidl.propagation import Signals, critical, measured, predicted
from minidl.study.estimates import Estimate

CRITICAL = "critical"
STARTS = ("glorot_uniform", "he_normal", "lecun_normal", CRITICAL)
LOSS: Loss = SoftmaxCrossEntropy()
Start: TypeAlias = tuple[str | Initializer, str | Initializer]


@dataclass(frozen=True)
class Beside:
    """One layer: predicted and measured signals, both as means over the seeds."""

    layer: str
    predicted: Signals
    measured: Signals
    # log(measured / predicted): 0 where theory is right
    z2: Estimate
    dz2: Estimate
    mean_abs_dW: Estimate
    dz2_by_seed: list[float]  # the values that dz2 is the mean of


@dataclass(frozen=True)
class Factor:
    """By what a layer multiplies the squared gradient: geometric mean over the hidden layers."""

    predicted: float
    measured: float
    off: Estimate  # log(measured / predicted)


def start_of(f: str, start: str) -> Start:
    """The initializers of W and b for one of ``STARTS``."""
    return critical(f) if start == CRITICAL else (start, "zeros")


def build(f: str, start: Start, width: int, depth: int, examples: Examples, seed: int) -> Network:
    """``depth`` hidden layers of ``width``, and an output layer with one unit for each class."""
    shape, classes = examples.inputs.shape[1:], int(examples.targets.max()) + 1
    sizes = [int(np.prod(shape)), *[width] * depth]
    hidden = [Dense(n_in, n_out, f, *start) for n_in, n_out in pairwise(sizes)]
    return Network([Flatten(), *hidden, Dense(width, classes)], shape, seed)


def starting(
    f: str, start: str, width: int, depth: int, examples: Examples, seeds: Sequence[int]
) -> Iterator[tuple[int, Network, Array, Array]]:
    """Such a network with each seed, and the examples as x and labels."""
    for seed in seeds:
        network = build(f, start_of(f, start), width, depth, examples, seed)
        yield seed, network, *examples.batch(0, len(examples), network.dtype)


def beside(
    f: str, start: str, width: int, depth: int, examples: Examples, seeds: Sequence[int]
) -> list[Beside]:
    """Every layer of such a network, on all of the examples at once, over the seeds."""
    theory, found = [], []
    for seed, network, x, labels in starting(f, start, width, depth, examples, seeds):
        theory.append(predicted(network, LOSS, x, labels, rng=seed))
        found.append(measured(network, LOSS, x, labels))
    return [
        Beside(
            ours[0].layer,
            _mean(ours),
            _mean(theirs),
            z2=_over(_off("z2", ours, theirs)),
            dz2=_over(_off("dz2", ours, theirs)),
            mean_abs_dW=_over(_off("mean_abs_dW", ours, theirs)),
            dz2_by_seed=_off("dz2", ours, theirs),
        )
        for ours, theirs in zip(zip(*theory, strict=True), zip(*found, strict=True), strict=True)
    ]


def factor(rows: Sequence[Beside], begin: int = 0) -> Factor:
    """How the squared gradient changes from one hidden layer to the one before it.

    From the last hidden layer back to the one with the index ``begin``; in the first
    layers the variance has not settled yet.
    """
    if len(rows) < begin + 3:
        raise ValueError(f"factor: expected {begin + 2} hidden layers or more, got {len(rows) - 1}")
    first, last, steps = rows[begin], rows[-2], len(rows) - 2 - begin
    sizes = [
        (getattr(first, by).dz2 / getattr(last, by).dz2) ** (1 / steps)
        for by in ("predicted", "measured")
    ]
    both = zip(first.dz2_by_seed, last.dz2_by_seed, strict=True)
    off = _over([(a - b) / steps for a, b in both])
    return Factor(sizes[0], sizes[1], off)


def deviation(
    f: str, start: str, width: int, depth: int, examples: Examples, seeds: Sequence[int]
) -> Estimate:
    """The mean of log²(measured / predicted E z²) of the last hidden layer, over networks.

    The theory is for infinite width; at width n, the mean falls as 1/n and grows with the depth.
    """
    squares = []
    for seed, network, x, labels in starting(f, start, width, depth, examples, seeds):
        ours = predicted(network, LOSS, x, labels, rng=seed)[-2]
        squares.append(math.log(measured(network, LOSS, x, labels)[-2].z2 / ours.z2) ** 2)
    return _over(squares)


def exponent(widths: Sequence[int], deviations: Sequence[Estimate]) -> Estimate:
    """p of deviation ∝ n^p: the slope of a straight line through the logarithms.

    The errors of the points are those of the estimates, propagated through the fit.
    """
    n = np.log(np.asarray(widths, float))
    centred = n - n.mean()
    weights = centred / (centred**2).sum()
    value = sum(w * math.log(d.value) for w, d in zip(weights, deviations, strict=True))
    parts = [w * d.error / d.value for w, d in zip(weights, deviations, strict=True)]
    return Estimate(float(value), math.hypot(*parts), sum(d.freedom for d in deviations))


def power(
    f: str, start: str, width: int, depth: int, examples: Examples, seeds: Sequence[int]
) -> Estimate:
    """p of E dz² ∝ L^p from the last of L hidden layers to the first, from measurements alone.

    If the gradient vanishes or explodes exponentially, |p| grows with L.
    """
    found = []
    for _, network, x, labels in starting(f, start, width, depth, examples, seeds):
        rows = measured(network, LOSS, x, labels)
        found.append(math.log(rows[0].dz2 / rows[-2].dz2) / math.log(depth))
    return _over(found)


def batch_norm_growth(
    f: str, width: int, batch: int, depth: int, seeds: Sequence[int], weights: str = "he_normal"
) -> Estimate:
    """By what a layer with BatchNorm multiplies the squared gradient, measured.

    The input is normal; the first three layers, where the batch has not settled, are left out.
    """
    if depth < 5:
        raise ValueError(f"batch_norm_growth: expected a depth of at least 5, got {depth}")
    growth = []
    for seed in seeds:
        layers = [
            layer
            for _ in range(depth)
            for layer in (
                Dense(width, width, weights=weights),
                BatchNorm(width),
                ActivationLayer(f),
            )
        ]
        network = Network(layers, width, seed)
        rng = np.random.default_rng(seed)
        network.forward(rng.standard_normal((batch, width)).astype(np.float32), training=True)
        network.backward(rng.standard_normal((batch, width)).astype(np.float32))
        first, last = (np.square(network[f"dense_{i}"].dz).mean() for i in (3, depth))  # type: ignore
        growth.append(float(first / last) ** (1 / (depth - 3)))
    return _over(growth)


def _over(values: Sequence[float]) -> Estimate:
    """The mean over seeds, with its standard error."""
    n = len(values)
    error = float(np.std(values, ddof=1)) / math.sqrt(n) if n > 1 else math.inf
    return Estimate(float(np.mean(values)), error, n - 1 if n > 1 else math.inf)


def _mean(rows: Sequence[Signals]) -> Signals:
    z2, dz2, size = np.mean([(row.z2, row.dz2, row.mean_abs_dW) for row in rows], axis=0).tolist()
    return Signals(rows[0].layer, z2, dz2, size)


def _off(name: str, theory: Sequence[Signals], found: Sequence[Signals]) -> list[float]:
    """log(measured / predicted) of one of z2, dz2 and mean |dW|, by seed."""
    return [
        math.log(getattr(b, name) / getattr(a, name)) for a, b in zip(theory, found, strict=True)
    ]
