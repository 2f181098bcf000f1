"""Write losses.json: PyTorch's losses in the first ten steps of the published network.

    python tools/make_golden.py

The network is 3072-512-512-512-512-100.  Its first weights are those of ``Network(rng=SEED)``,
copied into PyTorch; the batches are drawn from a generator of NumPy.  All is in float64.
"""

from __future__ import annotations

import itertools
import json
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from minidl import SGD, Adam, Dense, Network
from minidl.optimizers import Optimizer

PLACE = Path(__file__).parents[1] / "tests" / "golden" / "losses.json"
SIZES = (3072, 512, 512, 512, 512, 100)
SEED, STEPS, BATCH = 2024, 10, 64

# The same rule here and in PyTorch.
RULES: dict[str, tuple[Any, str, dict[str, float]]] = {
    "adam": (lambda: Adam(1e-3, epsilon=1e-7), "Adam", {"lr": 1e-3, "eps": 1e-7}),
    "sgd": (lambda: SGD(0.01, momentum=0.9), "SGD", {"lr": 0.01, "momentum": 0.9}),
}
CASES = [(f, rule) for f in ("sigmoid", "relu") for rule in RULES]


def problem(f: str, rule: str, device: Any = "cpu") -> tuple[Network, Optimizer]:
    """The network with its initial weights, and the rule that will update them."""
    last = len(SIZES) - 2
    layers = [
        Dense(n_in, n_out, f if i < last else "linear")
        for i, (n_in, n_out) in enumerate(itertools.pairwise(SIZES))
    ]
    network = Network(layers, SIZES[0], rng=SEED, dtype="float64", device=device)
    return network, RULES[rule][0]()


def batches(steps: int = STEPS) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The batches of the first ``steps`` steps: images and labels."""
    rng = np.random.default_rng(SEED)
    for _ in range(steps):
        yield rng.random((BATCH, SIZES[0])), rng.integers(0, SIZES[-1], BATCH)


def pytorch_losses(f: str, rule: str, steps: int = STEPS) -> list[float]:
    """The losses of PyTorch's own forward, autograd and optimizer, before each step."""
    import torch

    network, _ = problem(f, rule)
    parameters = [torch.tensor(v, requires_grad=True) for _, _, v, _ in network.parameters()]
    _, name, options = RULES[rule]
    optimizer = getattr(torch.optim, name)(parameters, **options)
    losses = []
    for x, labels in batches(steps):
        y = torch.tensor(x)
        for W, b in zip(parameters[::2], parameters[1::2], strict=True):
            y = torch.nn.functional.linear(y, W.T, b)
            if W is not parameters[-2]:
                y = getattr(torch, f)(y)
        loss = torch.nn.functional.cross_entropy(y, torch.tensor(labels))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def main() -> None:
    import torch

    golden = {
        "made by": "tools/make_golden.py",
        "versions": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "torch": torch.__version__,
        },
        "losses": {f"{f} {rule}": pytorch_losses(f, rule) for f, rule in CASES},
    }
    PLACE.write_text(json.dumps(golden, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
