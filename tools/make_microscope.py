"""Write microscope.json: the norms of the backward signal from PyTorch's autograd.

    python tools/make_microscope.py

Everything is in float64; the loss is summed over the batch.
"""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import Any

import numpy as np

PLACE = Path(__file__).parents[1] / "tests" / "golden" / "microscope.json"
SIZES = (12, 8, 8, 5)
IMAGES = (6, 2, 6, 6)  # (N, C, height, width)
CLASSES, CHANNELS, PLACES = 5, 3, 4  # PLACES: (6 - 2) / 2 squared


def arrays() -> dict[str, np.ndarray]:
    """Inputs and parameters of both networks, in minidl's shapes."""
    rng = np.random.default_rng(19)
    drawn: dict[str, np.ndarray] = {"x": rng.normal(size=(6, SIZES[0]))}
    for i in range(3):
        drawn[f"W{i}"] = rng.normal(0, 0.6, SIZES[i : i + 2])
        drawn[f"b{i}"] = rng.normal(0, 0.6, SIZES[i + 1])
    drawn["images"] = rng.normal(size=IMAGES)
    drawn["kernel"] = rng.normal(0, 0.6, (CHANNELS, IMAGES[1], 3, 3))
    drawn["kernel b"] = rng.normal(0, 0.6, CHANNELS)
    drawn["out"] = rng.normal(0, 0.6, (CHANNELS * PLACES, CLASSES))
    drawn["out b"] = rng.normal(0, 0.6, CLASSES)
    drawn["labels"] = rng.integers(0, CLASSES, 6)
    return drawn


def main() -> None:
    import torch

    v = {name: torch.tensor(array) for name, array in arrays().items()}

    def norms(named: dict[str, Any], logits: Any) -> dict[str, float]:
        for array in named.values():
            array.retain_grad()
        torch.nn.functional.cross_entropy(logits, v["labels"], reduction="sum").backward()
        return {name: float(array.grad.norm()) for name, array in named.items()}

    named, y = {}, v["x"].requires_grad_()
    for i in range(3):
        named[f"dense_{i + 1}.z"] = z = y @ v[f"W{i}"] + v[f"b{i}"]
        y = z if i == 2 else torch.sigmoid(z)
        if i < 2:
            named[f"dense_{i + 1}.y"] = y
    dense = norms(named, y)

    images = v["images"].requires_grad_()
    z = torch.nn.functional.conv2d(images, v["kernel"], v["kernel b"])
    y = torch.tanh(z)
    pooled = torch.nn.functional.max_pool2d(y, 2)
    flat = pooled.flatten(1)
    logits = flat @ v["out"] + v["out b"]
    named = {"conv2d_1.z": z, "conv2d_1.y": y, "maxpool2d_1.y": pooled, "flatten_1.y": flat}
    convolution = norms(named | {"dense_1.z": logits}, logits)

    versions = {"torch": torch.__version__, "numpy": np.__version__}
    golden = {
        "made with": {"python": platform.python_version(), **versions},
        "dense": dense,
        "convolution": convolution,
    }
    PLACE.write_text(json.dumps(golden, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
