"""Write resnet.json: the results of torchvision's residual networks and PyTorch's autograd.

    python tools/make_resnet.py

Everything is in float64.  Weights, images and upstream are drawn by NumPy; the file has two numbers
for each array, its norm and its product with a vector that is drawn by its name.
"""

from __future__ import annotations

import json
import math
import platform
import re
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from minidl import SGD, Adam, Network
from minidl.backend import namespace
from minidl.models import resnet50
from minidl.models.torchvision import torchvision_arrays
from minidl.optimizers import Optimizer

PLACE = Path(__file__).parents[1] / "tests" / "golden" / "resnet.json"
SEED, STEPS = 15, 10
N, N_IN_A_STEP = 8, 32  # examples

# Arguments of resnet50: the networks of the published study, and a narrow one for training.
WHOLE: dict[str, dict[str, Any]] = {
    "CIFAR-10": {"size": 32, "stem_kernel": 3, "stem_stride": 1},
    "MNIST": {"in_channels": 1, "size": 28},
}
NARROW: dict[str, Any] = {"width": 0.125, **WHOLE["CIFAR-10"]}
MODES = {"training": True, "inference": False}
RULES: dict[str, tuple[Callable[[], Optimizer], str, dict[str, float]]] = {
    "sgd": (lambda: SGD(1e-3, momentum=0.9), "SGD", {"lr": 1e-3, "momentum": 0.9}),
    "adam": (lambda: Adam(1e-3), "Adam", {"lr": 1e-3}),
}

Arrays = dict[str, np.ndarray]


def generator(name: str) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(name.encode()))


def narrow(device: Any = "cpu") -> Network:
    """The narrow network with its initial weights."""
    return resnet50(10, rng=SEED, dtype="float64", device=device, **NARROW)


def scattered(name: str, device: Any = "cpu") -> Network:
    """A network of the study with parameters and running values that are all different."""
    network = resnet50(10, dtype="float64", device=device, **WHOLE[name])
    for name, array in torchvision_arrays(network).items():
        array[...] = namespace(array).asarray(_drawn(name, array.shape))
    return network


def _drawn(name: str, shape: tuple[int, ...]) -> np.ndarray:
    rng = generator(name)
    if name.endswith("running_var") or (name.endswith("weight") and len(shape) == 1):
        return rng.uniform(0.5, 1.5, shape)
    deviation = math.sqrt(2 / math.prod(shape[1:])) if len(shape) > 1 else 0.2
    return rng.normal(0, deviation, shape)


def batch(network: Network) -> tuple[np.ndarray, np.ndarray]:
    """Images and the gradient of the logits."""
    rng = generator("batch")
    return rng.standard_normal((N, *network.input_shape)), rng.standard_normal((N, 10))


def batches(network: Network) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Images and labels for each step."""
    rng, shape = generator("batches"), (N_IN_A_STEP, *network.input_shape)
    for _ in range(STEPS):
        yield rng.standard_normal(shape), rng.integers(0, 10, N_IN_A_STEP)


def figures(arrays: Arrays) -> dict[str, list[float]]:
    """Norm and projection of each array."""
    return {
        name: [float(np.linalg.norm(a)), float(generator(name).standard_normal(a.size) @ a.ravel())]
        for name, a in arrays.items()
    }


# -- in PyTorch -------------------------------------------------------------------------------


def in_torchvision(network: Network, options: dict[str, Any]) -> Any:
    """The same network of torchvision's, with the same parameters and running values."""
    import torch

    sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks" / "peers"))
    from torch_resnet import torchvision_resnet

    theirs = {name: value for name, value in options.items() if name not in ("size", "in_channels")}
    channels = options.get("in_channels", 3)
    module = torchvision_resnet("resnet50", 10, channels, **theirs).double()
    arrays = {name: torch.tensor(a) for name, a in torchvision_arrays(network).items()}
    module.load_state_dict(arrays)
    return module


def of_torchvision(name: str, mode: str) -> Arrays:
    """Logits, gradients of the images and of all parameters, running values after the batch."""
    import torch

    network = scattered(name)
    module = in_torchvision(network, WHOLE[name]).train(MODES[mode])
    images, dlogits = map(torch.tensor, batch(network))
    logits = module(images.requires_grad_())
    logits.backward(dlogits)
    found = {"logits": logits.detach(), "dx": images.grad}
    found |= {f"d {name}": p.grad for name, p in module.named_parameters()}
    found |= {name: b for name, b in module.named_buffers() if "running" in name}
    return {name: value.numpy() for name, value in found.items()}


def pytorch_losses(rule: str) -> list[float]:
    """The losses before each of the first steps."""
    import torch

    network = narrow()
    module = in_torchvision(network, NARROW).train()
    _, name, options = RULES[rule]
    optimizer = getattr(torch.optim, name)(module.parameters(), **options)
    losses = []
    for x, labels in batches(network):
        loss = torch.nn.functional.cross_entropy(module(torch.tensor(x)), torch.tensor(labels))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def main() -> None:
    import torch
    import torchvision

    golden = {
        "made by": "tools/make_resnet.py",
        "versions": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "torch": torch.__version__,
            "torchvision": torchvision.__version__,
        },
        "arrays": {
            f"{name}, {mode}": figures(of_torchvision(name, mode))
            for name in WHOLE
            for mode in MODES
        },
        "losses": {rule: pytorch_losses(rule) for rule in RULES},
    }
    text = json.dumps(golden, indent=1)
    rows = re.sub(r"\[[^][]+\]", lambda row: " ".join(row[0].split()), text)
    PLACE.write_text(rows + "\n", "utf-8")


if __name__ == "__main__":
    main()
