"""The floor under a training step: flops and bytes counted, rates measured in the same run.

A dense layer n_in → n_out needs three matrix products for a batch of N, each
2 N n_in n_out flops: z = x W, dW = xᵀ dz, dx = dz Wᵀ. The first layer needs no dx.
The optimizer must read θ, ∇θ, m and v and write θ, m and v once, 7 × 4 bytes per
parameter; everything else is small in comparison, or part of the products. No
implementation with these products in float32, followed by Adam, can take less than

    Σ (flops of each product / rate of that product) + 28 P bytes / bandwidth.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from minidl import Conv2D, Dense, Network

OPTIMIZER_BYTES = 7 * 4  # per parameter


@dataclass(frozen=True)
class Floor:
    """The minimum time of one step, in seconds, and its parts."""

    flops: int
    gemm_seconds: float
    optimizer_bytes: int
    bandwidth: float  # bytes per second
    launch_seconds: float = 0.0  # on a GPU: the gaps between the launches of a graph

    @property
    def seconds(self) -> float:
        return self.gemm_seconds + self.optimizer_bytes / self.bandwidth + self.launch_seconds


def products(sizes: Sequence[int], N: int) -> list[tuple[int, int, int]]:
    """(m, k, n) of every matrix product of one step: (m, k) times (k, n)."""
    found = []
    for i, (n_in, n_out) in enumerate(itertools.pairwise(sizes)):
        found += [(N, n_in, n_out), (n_in, N, n_out)]
        if i > 0:
            found.append((N, n_out, n_in))
    return found


def products_in(network: Network, N: int) -> list[tuple[int, int, int]]:
    """The same for the convolutions and dense layers anywhere in a network.

    For a convolution with cols (C_in kh kw, places): z = W cols, dW = dz colsᵀ, dcols = Wᵀ dz.
    Building the columns counts as free, whatever a library does with them.
    """
    found = []
    affine = [pair for pair in network.with_shapes() if isinstance(pair[0], Conv2D | Dense)]
    for i, (layer, shape) in enumerate(affine):
        if isinstance(layer, Dense):
            m, k, n = N, layer.n_in, layer.n_out
        else:
            m, k = layer.channels_out, math.prod(layer.W.shape[1:])
            n = N * math.prod(shape[1:])
        found += [(m, k, n)]  # z
        found += [(k, m, n) if isinstance(layer, Dense) else (m, n, k)]  # dW
        if i > 0:
            found += [(m, n, k) if isinstance(layer, Dense) else (k, m, n)]  # dx
    return found


def parameters(sizes: Sequence[int]) -> int:
    return sum(n_in * n_out + n_out for n_in, n_out in itertools.pairwise(sizes))


def measure_floor(sizes: Sequence[int], N: int, threads: int, rounds: int = 15) -> Floor:
    """The floor of the dense network of these sizes."""
    return floor_of(products(sizes, N), parameters(sizes), threads, rounds)


def floor_of(shapes: list[tuple[int, int, int]], P: int, threads: int, rounds: int = 15) -> Floor:
    """Time every product by itself, in its fastest layout, and the bandwidth."""
    seconds = {shape: gemm_seconds(*shape, rounds) for shape in set(shapes)}
    return Floor(
        flops=sum(2 * m * k * n for m, k, n in shapes),
        gemm_seconds=sum(seconds[shape] for shape in shapes),
        optimizer_bytes=OPTIMIZER_BYTES * P,
        bandwidth=bandwidth(P, threads, rounds),
    )


def gemm_seconds(m: int, k: int, n: int, rounds: int) -> float:
    """Seconds in the fastest of four layouts, each the median over the rounds."""
    rng = np.random.default_rng(0)
    a, b = (rng.random(shape, dtype=np.float32) for shape in ((m, k), (k, n)))
    out = np.empty((m, n), np.float32)
    layouts = [
        (a, b),
        (np.asfortranarray(a), b),
        (a, np.asfortranarray(b)),
        (np.asfortranarray(a), np.asfortranarray(b)),
    ]
    seconds = []
    for x, y in layouts:
        out.fill(np.nan)
        seconds.append(_median(lambda x=x, y=y: np.matmul(x, y, out=out), rounds))
        check_close("the product", out[0], a[0].astype(float) @ b)
    return min(seconds)


def bandwidth(P: int, threads: int, rounds: int) -> float:
    """Bytes per second of x += y on vectors of θ's length, counted as two reads and a write.

    It takes four pairs of vectors in turn, about as much memory as the optimizer traverses.
    """
    pairs = [(np.ones(P, np.float32), np.ones(P, np.float32)) for _ in range(4)]
    bounds = np.linspace(0, P, threads + 1).astype(int)

    def part(i: int) -> None:
        for x, y in pairs:
            piece = slice(bounds[i], bounds[i + 1])
            np.add(x[piece], y[piece], out=x[piece])

    with ThreadPoolExecutor(threads) as pool:
        seconds = _median(lambda: list(pool.map(part, range(threads))), rounds)
    for x, _ in pairs:
        check_close("x += y", x, 1 + 1 + rounds)  # x starts at 1; one warm-up, then the rounds
    return 3 * 4 * P * len(pairs) / seconds


def check_close(what: str, got: np.ndarray, expected: Any) -> None:
    """Raise unless the timed work was really done, within float32 rounding."""
    if not np.allclose(got, expected, rtol=1e-4, atol=0):
        raise RuntimeError(f"{what} was timed, but not computed")


def _median(work: Callable[[], object], rounds: int) -> float:
    work()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return float(np.median(times))
