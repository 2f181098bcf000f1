"""Write images.npz: PyTorch's y, dx, dW and db of convolutions and pools, in float64.

    python tools/make_images.py

Inputs, weights and dy are drawn from a generator of NumPy; the file holds what PyTorch made of
them, one array for each case and name.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from minidl import AveragePool2D, Conv2D, GlobalAveragePool2D, Layer, MaxPool2D
from minidl.backend import namespace

PLACE = Path(__file__).parents[1] / "tests" / "golden" / "images.npz"

# The shape of x, and the layer.
CASES: dict[str, tuple[tuple[int, ...], Any]] = {
    "conv 1x1": ((3, 4, 5, 3), lambda: Conv2D(4, 3, 1)),
    "conv 3x3": ((2, 3, 6, 7), lambda: Conv2D(3, 4, 3)),
    "conv 3x3 padding 1": ((2, 3, 5, 4), lambda: Conv2D(3, 2, 3, padding=1)),
    "conv 2x2": ((2, 2, 5, 5), lambda: Conv2D(2, 3, 2)),
    "conv 4x4 stride 2 padding 1": ((2, 2, 8, 6), lambda: Conv2D(2, 3, 4, 2, 1)),
    "conv 3x3 stride 2": ((2, 2, 8, 7), lambda: Conv2D(2, 3, 3, 2)),
    "conv 2x2 stride 3": ((1, 2, 9, 8), lambda: Conv2D(2, 2, 2, 3)),
    "conv 2x5": ((2, 2, 4, 8), lambda: Conv2D(2, 2, (2, 5), (1, 2), (1, 2))),
    "conv 5x5 of one channel": ((2, 1, 9, 9), lambda: Conv2D(1, 6, 5)),
    "conv 7x7 stride 2 padding 3": ((1, 3, 12, 11), lambda: Conv2D(3, 2, 7, 2, 3)),
    "max 2x2": ((2, 3, 6, 5), lambda: MaxPool2D(2)),
    "max 3x3 stride 2": ((2, 2, 7, 8), lambda: MaxPool2D(3, 2)),
    "max 3x3 stride 2 padding 1": ((2, 2, 7, 6), lambda: MaxPool2D(3, 2, 1)),
    "max 2x3 stride 3x1": ((2, 2, 7, 6), lambda: MaxPool2D((2, 3), (3, 1))),
    "max 3x3 stride 1 with ties": ((2, 2, 6, 6), lambda: MaxPool2D(3, 1)),
    "max 2x2 with ties": ((2, 2, 6, 6), lambda: MaxPool2D(2)),
    "average 2x2": ((2, 3, 6, 5), lambda: AveragePool2D(2)),
    "average 3x3 stride 2": ((2, 2, 7, 8), lambda: AveragePool2D(3, 2)),
    "global average": ((3, 4, 5, 3), GlobalAveragePool2D),
}


def problem(name: str, device: Any = "cpu") -> tuple[Layer, np.ndarray, np.ndarray]:
    """The layer with its weights, x, and dy."""
    shape, make = CASES[name]
    rng = np.random.default_rng(len(name) + 1000 * math.prod(shape))
    layer = make()
    layer.build(rng, "float64", device)
    for parameter in layer.parameters().values():
        parameter[...] = namespace(parameter).asarray(rng.standard_normal(parameter.shape))
    x = rng.standard_normal(shape)
    if "ties" in name:
        x = np.maximum(x.round(), 0)
    return layer, x, rng.standard_normal((len(x), *layer.output_shape(shape[1:])))


def of_pytorch(name: str) -> dict[str, np.ndarray]:
    """y, dx and the gradients of the parameters by PyTorch's own forward and autograd."""
    import torch

    F = torch.nn.functional
    layer, x, dy = problem(name)
    t = torch.tensor(x, requires_grad=True)
    parameters = {n: torch.tensor(v, requires_grad=True) for n, v in layer.parameters().items()}
    windows = getattr(layer, "windows", None)
    if isinstance(layer, Conv2D):
        y = F.conv2d(t, *parameters.values(), windows.stride, windows.padding)
    elif isinstance(layer, MaxPool2D):
        y = F.max_pool2d(t, windows.size, windows.stride, windows.padding)
    elif isinstance(layer, AveragePool2D):
        y = F.avg_pool2d(t, windows.size, windows.stride)
    else:
        y = F.adaptive_avg_pool2d(t, 1).flatten(1)
    y.backward(torch.tensor(dy))
    tensors = {"y": y.detach(), "dx": t.grad} | {f"d{n}": p.grad for n, p in parameters.items()}
    return {n: tensor.numpy() for n, tensor in tensors.items()}


def main() -> None:
    found = {name: of_pytorch(name) for name in CASES}
    np.savez(PLACE, **{f"{c}: {n}": a for c, arrays in found.items() for n, a in arrays.items()})


if __name__ == "__main__":
    main()
