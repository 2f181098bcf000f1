"""One training step of ResNet-18 and of a narrow ResNet-50 in minidl and in PyTorch.

    python benchmarks/resnet_training.py [--interpreter PYTHON ...]

The networks of ``minidl.models`` and ``torchvision.models`` on images of 32x32 are compared as in
``conv_training.py``: processes that take turns, the same weights, the same first loss, every step
counted. (The loss after ten steps is not compared: by then these networks have memorized the batch,
and how far depends on rounding.) The floor is the time of the matrix products and of Adam's pass
over memory alone, see ``floor.py``; the memory per image is that of minidl's arrays between forward
and backward, and at the peak.
"""

from __future__ import annotations

import argparse
import math
import tracemalloc
from typing import Any

import numpy as np
from conv_training import add_options, begin, compare, table, write
from floor import floor_of, products_in
from peers import RESNETS
from threadpoolctl import threadpool_limits

from minidl import Network, models
from minidl.study.options import new_parser


def measure(name: str, chosen: argparse.Namespace, images: Any, labels: Any) -> dict[str, Any]:
    """The times of all peers on one network, and the floor."""
    make, options = RESNETS[name]
    network = getattr(models, make)(10, size=32, **options)
    result = compare(name, network, name, "relu", chosen, images, labels, after=None)
    for peer, loss in result["loss_after_ten_steps"].items():
        if not loss < math.log(10):
            raise RuntimeError(f"{peer}: expected ten steps to learn from a batch, got loss {loss}")
    kept, peak = memory_per_image(network)
    with threadpool_limits(chosen.threads):
        shapes = products_in(network, chosen.batch_size)
        floor = floor_of(shapes, network.theta.size, chosen.threads, rounds=5)
    return result | {
        "floor_seconds": floor.seconds,
        "flops": floor.flops,
        "kept_bytes_per_image": kept,
        "peak_bytes_per_image": peak,
    }


def memory_per_image(network: Network) -> tuple[float, float]:
    """Bytes per additional image: what forward keeps for backward, and the peak."""
    found, batches = [], (4, 8)
    for N in (2, *batches):  # the first one triggers what is loaded only once
        x = np.ones((N, *network.input_shape), network.dtype)
        dy = np.ones((N, *network.shapes[-1]), network.dtype)
        tracemalloc.start()
        network.forward(x, training=True)
        kept = tracemalloc.get_traced_memory()[0]
        network.backward(dy)
        found.append((kept, tracemalloc.get_traced_memory()[1]))
        tracemalloc.stop()
    kept, peak = np.diff(found[1:], axis=0)[0] / np.diff(batches)
    return float(kept), float(peak)


def text(result: dict[str, Any]) -> str:
    """The table of the peers, and the floor as a share of each one's time."""
    floor = result["floor_seconds"]
    shares = ", ".join(
        f"{name} {floor / np.median(seconds):.0%}" for name, seconds in result["seconds"].items()
    )
    kept, peak = (result[f"{what}_bytes_per_image"] / 1e6 for what in ("kept", "peak"))
    return (
        f"{table(result)}"
        f"floor {1e3 * floor:.1f} ms for {result['flops'] / 1e9:.1f} GFLOP; its share: {shares}\n"
        f"memory of an image in minidl: {kept:.1f} MB, at the peak {peak:.1f} MB\n"
    )


def main() -> None:
    parser = new_parser(__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--networks", nargs="+", default=list(RESNETS), choices=list(RESNETS), metavar="NETWORK")
    add_options(add, rounds=9, steps=3)
    chosen = parser.parse_args()
    folder, title, images, labels = begin(chosen, 2048)
    results = []
    for name in chosen.networks:
        results.append(measure(name, chosen, images, labels))
        print(text(results[-1]), flush=True)
    write(folder, "resnet_training", title, chosen, results, text)


if __name__ == "__main__":
    main()
