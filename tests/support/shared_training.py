"""Small training runs on 65 examples that ranks share, and the results of each.

Started under ``mpiexec``, it does the runs that its arguments name, and rank 0 writes the results::

    mpiexec -n 3 python -m mpi4py shared_training.py results.npz adam dropout
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from minidl import (
    SGD,
    ActivationLayer,
    Adam,
    AdamW,
    Augmentation,
    BatchNorm,
    Conv2D,
    Dense,
    Dropout,
    EarlyStopping,
    Embedding,
    EncoderBlock,
    Examples,
    FirstToken,
    Flatten,
    MeanSquaredError,
    Network,
    Sentences,
    SoftmaxCrossEntropy,
    evaluate,
)
from minidl.data_parallel import Ranks, train, world

N = 65  # no batch below divides evenly among 2 or 3 ranks
DRAWS = np.random.default_rng(0)
IMAGES = DRAWS.integers(0, 256, (N, 2, 6, 6), dtype=np.uint8)
LABELS = DRAWS.integers(0, 4, N)
TARGETS = DRAWS.standard_normal((N, 4))
TOKENS = [DRAWS.integers(1, 9, DRAWS.integers(2, 8)) for _ in range(N)]
DATA = Examples(IMAGES, LABELS)

Found = dict[str, np.ndarray]


def dense(*more: Any) -> list[Any]:
    return [Flatten(), Dense(72, 12, "tanh"), *more, Dense(12, 4)]


def normalized() -> list[Any]:
    return [
        Conv2D(2, 3, 3, biases=None),
        BatchNorm(3),
        ActivationLayer("tanh"),
        Flatten(),
        Dense(48, 4),
    ]


def trained(
    layers: list[Any],
    optimizer: Any,
    ranks: Ranks | None = None,
    *,
    data: Examples = DATA,
    loss: Any = None,
    shape: tuple[int, ...] = (2, 6, 6),
    batch_size: int = 13,
    epochs: int = 2,
    patience: int | None = None,
    **more: Any,
) -> Found:
    """Ten steps (five per epoch), or until the loss on other images has stopped falling."""
    network = Network(layers, shape, rng=1, dtype="float64")
    loss = loss or SoftmaxCrossEntropy()
    stopping, losses = EarlyStopping(patience or 99), []
    settings = {"epochs": epochs, "batch_size": batch_size, "rng": 2, "progress": False}
    for epoch in train(network, data, loss, optimizer, ranks=ranks, **settings, **more):
        losses.append([epoch.train_loss, epoch.train_accuracy])
        if patience and stopping.update(network, evaluate(network, data.first(9), loss).loss):
            stopping.restore(network)
            break
    return {
        "theta": network.theta.copy(),
        "state": network.state.copy(),
        "gradient": network.dtheta.copy(),
        "update": epoch.update,
        "losses": np.array(losses),
    }


def brighter(images: np.ndarray) -> np.ndarray:
    """A custom augmentation that uses the whole batch."""
    return images - images.mean(axis=0).astype(np.uint8)


def encoder(**more: Any) -> Found:
    tokens = Embedding(9, 6, padding=0)
    layers = [tokens, EncoderBlock(6, 2, 8, dropout=0.2, tokens=tokens), FirstToken(), Dense(6, 4)]
    return trained(layers, AdamW(), data=Sentences.of(TOKENS, LABELS), shape=(7,), **more)


CASES: dict[str, Callable[..., Found]] = {
    "sgd": lambda **o: trained(dense(), SGD(0.5), **o),
    "momentum": lambda **o: trained(dense(), SGD(0.1, 0.9, nesterov=True, l2=0.01), **o),
    "adam": lambda **o: trained(dense(), Adam(0.01), **o),
    # the last batch has one example: all ranks but the first have none
    "one left": lambda **o: trained(normalized(), Adam(0.01), batch_size=16, **o),
    "dropout": lambda **o: trained(dense(Dropout(0.4)), Adam(0.01), **o),
    "augmentation": lambda **o: trained(
        dense(), Adam(0.01), augment=Augmentation(2, rng=3), batch_size=16, **o
    ),
    "own augmentation": lambda **o: trained(dense(), Adam(0.01), augment=brighter, **o),
    "clipping": lambda **o: trained(dense(), SGD(0.5, clip_norm=0.05), **o),
    "early stopping": lambda **o: trained(dense(), SGD(3.0), epochs=9, patience=2, **o),
    "regression": lambda **o: trained(
        dense(), Adam(0.01), data=Examples(IMAGES, TARGETS), loss=MeanSquaredError(), **o
    ),
    "batch norm": lambda **o: trained([*normalized()[:-1], *bottom()], Adam(0.01), **o),
    "sentences": encoder,
}


def bottom() -> list[Any]:
    return [Dense(48, 8, "tanh"), BatchNorm(8), Dense(8, 4)]


def main(path: str, *names: str) -> None:
    found = {name: CASES[name]() for name in names}
    for of_rank in world().gather(found):
        for name, arrays in of_rank.items():
            for what, array in arrays.items():
                same = np.array_equal(array, found[name][what], equal_nan=True)
                assert same, f"{name}: {what} differs between ranks"
    if world().is_root:
        flat = {f"{name}/{k}": v for name, arrays in found.items() for k, v in arrays.items()}
        np.savez(Path(path), **flat)


if __name__ == "__main__":
    main(*sys.argv[1:])
