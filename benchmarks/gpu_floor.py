"""The floor under a training step on a GPU: products, bytes and launches, measured in the same run.

The products and the optimizer's traffic are those of floor.py. A replayed graph adds a gap to
each launch, measured as the time of a launch that does next to nothing:

    Σ products, each replayed in a graph + 28 P bytes / bandwidth + other launches · gap
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

from floor import OPTIMIZER_BYTES, Floor, check_close, parameters, products

from minidl.backend import to_numpy

REPEATED = 50  # launches in a graph; their mean counts
REPLAYS = 10  # of the graph, the first as a warm-up
LAUNCHES = 1 + REPLAYS * REPEATED  # in all; one comes before the capture


def launches(layers: int) -> int:
    """The number of launches in minidl's step that are not products.

    Per layer: bias and activation, its derivative, and db. In addition: two fetches, inputs,
    targets, loss, hits, a copy of the losses, store, the position, and the optimizer.
    """
    return 3 * layers + 10


def measure_gpu_floor(sizes: Sequence[int], N: int) -> Floor:
    """The floor on the current GPU, in float32, timed by the GPU itself."""
    import cupy

    shapes = products(sizes, N)
    seconds = {}
    for m, k, n in set(shapes):
        a, b, out = (cupy.ones(shape, "float32") for shape in ((m, k), (k, n), (m, n)))
        each = []
        for x, y in itertools.product((a, cupy.asfortranarray(a)), (b, cupy.asfortranarray(b))):
            out.fill(0)
            each.append(_replayed(cupy, lambda x=x, y=y, out=out: cupy.dot(x, y, out=out)))
            check_close("the product", to_numpy(out), k)  # of ones
        seconds[m, k, n] = min(each)
    P = parameters(sizes)
    pairs = [[cupy.ones(P, "float32") for _ in range(2)] for _ in range(4)]

    def add_all() -> None:
        for x, y in pairs:
            cupy.add(x, y, out=x)

    adding = _replayed(cupy, add_all)
    for x, _ in pairs:
        check_close("x += y", to_numpy(x), 1 + LAUNCHES)  # x starts at 1
    one, count = cupy.ones(1, "float32"), cupy.zeros(1, "float32")
    gap = _replayed(cupy, lambda: cupy.add(count, one, out=count))
    check_close("the launch", to_numpy(count), LAUNCHES)
    return Floor(
        flops=sum(2 * m * k * n for m, k, n in shapes),
        gemm_seconds=sum(seconds[shape] for shape in shapes),
        optimizer_bytes=OPTIMIZER_BYTES * P,
        bandwidth=3 * 4 * P * len(pairs) / adding,
        launch_seconds=launches(len(sizes) - 1) * gap,
    )


def _replayed(cupy: Any, work: Callable[[], object]) -> float:
    """Seconds of ``work`` in a graph, the median of nine replays."""
    stream = cupy.cuda.Stream(non_blocking=True)
    cupy.cuda.Device().synchronize()
    with stream:
        work()
        stream.begin_capture()
        for _ in range(REPEATED):
            work()
        graph = stream.end_capture()
        times = []
        for _ in range(REPLAYS):
            start = stream.record()
            graph.launch(stream)
            end = stream.record()
            end.synchronize()
            times.append(cupy.cuda.get_elapsed_time(start, end) / 1e3 / REPEATED)
    return sorted(times[1:])[4]
