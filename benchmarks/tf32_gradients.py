"""The effect of TF32 products on each layer's gradient in the published network.

    python benchmarks/tf32_gradients.py [--device cuda] [--data-dir DIR]

It compares the gradients of the first 64 training images in float32 and with TF32 products, for
the same weights: at the start, and after one epoch. Without a GPU, NumPy rounds the factors of
every product to TF32's 10 bits, as the tensor cores do before they multiply. If TF32 changes
nothing, that is an error: then no product was rounded.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from minidl import Adam, Dense, Examples, Flatten, Network, SoftmaxCrossEntropy, train
from minidl.backend import Device, get_device, set_precision, to_numpy
from minidl.data import load
from minidl.study import text_table

SIZES = (3072, 512, 512, 512, 512, 100)


def to_tf32(a: np.ndarray) -> np.ndarray:
    """``a`` in float32 with its mantissa rounded to 10 bits, halves away from zero."""
    bits = np.ascontiguousarray(a).view(np.int32)
    return ((bits + 0x1000) & ~0x1FFF).view(np.float32)


class Rounding(np.ndarray):
    """An array on the CPU whose products are rounded as in TF32, as are those of its results."""

    def __matmul__(self, other: Any) -> Any:
        return np.matmul(to_tf32(self), to_tf32(other)).view(Rounding)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if function is np.dot:
            args = tuple(map(to_tf32, args))
        return super().__array_function__(function, types, args, kwargs)


@contextmanager
def tf32_products(device: Device, x: Any) -> Iterator[Any]:
    """A context that gives ``x`` such that all products starting from it are TF32's.

    On the GPU the tensor cores compute them, on the CPU they are rounded.
    """
    if not device.is_cuda:
        yield x.view(Rounding)
        return
    set_precision("tf32", device)
    try:
        yield x
    finally:
        set_precision("float32", device)


def gradients(network: Network, x: Any, labels: Any) -> dict[str, np.ndarray]:
    """The dW of each layer."""
    y = x
    for layer in network.layers:
        y = layer.forward(y)
    _, dlogits = SoftmaxCrossEntropy()(y, labels)
    network.backward(dlogits)
    return {la.name: to_numpy(g).copy() for la, name, _, g in network.parameters() if name == "W"}


def compare(network: Network, data: Examples) -> list[float]:
    """‖g_tf32 − g‖ / ‖g‖ of each layer's dW, in float64."""
    x, labels = data.first(64).to(network.device).batch(0, 64, network.dtype)
    exact = gradients(network, x, labels)
    with tf32_products(network.device, x) as x:
        rounded = gradients(network, x, labels)
    norm = np.linalg.norm
    shares = [
        float(norm(rounded[name].astype(float) - g.astype(float)) / norm(g.astype(float)))
        for name, g in exact.items()
    ]
    if not min(shares) > 0:
        raise RuntimeError(f"expected TF32 to change the gradient of each layer, got {shares}")
    return shares


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--data-dir", type=Path)
    chosen = parser.parse_args()
    device = get_device(chosen.device)
    data = load("auto", chosen.data_dir)
    rows = []
    for f in ("sigmoid", "relu"):
        hidden = [Dense(*pair, f) for pair in itertools.pairwise(SIZES[:-1])]
        layers = [Flatten(), *hidden, Dense(*SIZES[-2:])]
        network = Network(layers, data.train.input_shape, rng=0, device=device)
        rows.append([f"{f}, at the start", *compare(network, data.train)])
        loss = SoftmaxCrossEntropy()
        (epoch,) = train(network, data.train, loss, Adam(), epochs=1, progress=False)
        after = f"{f}, after {epoch.steps} steps, mean loss {epoch.train_loss:.3f}"
        rows.append([after, *compare(network, data.train)])
    text = [[row[0], *(f"{value:.1e}" for value in row[1:])] for row in rows]
    how = "tensor cores" if device.is_cuda else "rounded by NumPy"
    print(f"‖g_tf32 − g‖ / ‖g‖ on {data.title}, {device.describe()}, {how}")
    print(text_table(["", *(f"layer {i}" for i in range(1, len(SIZES)))], text))


if __name__ == "__main__":
    main()
