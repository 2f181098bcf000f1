"""A run of the CIFAR-10 study as data: its claims judged, its looks, its plateaus."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from cifar10_cnn_claims import judged, published
from cifar10_cnn_training import (
    BATCH_SIZE,
    CHANCE,
    EPOCHS,
    GENTLE,
    LEARNING_RATE,
    Look,
    Outcome,
    Run,
    plateau,
)

from minidl.study import Conditions, DataUsed, text_table
from minidl.study.claims import published_title
from minidl.study.histories import by_epoch, by_layer
from minidl.study.tables import figure

NETWORK = (
    "Conv2D 3 -> 32, 3×3 (valid), activation; MaxPool2D 2×2; Flatten; Dense 128, activation; "
    "Dense 10; softmax"
)
FIRST_STEPS = (0, 1, 2, 4, 8, 16, 32)  # those that summary and report show one by one,
WHOLE_EPOCHS = (1, 2, 5, 10)  # and those after them


def summarise(
    data: DataUsed, conditions: Conditions, run: Run, labels: np.ndarray
) -> dict[str, Any]:
    """``summary.json``; ``labels`` are those of the test images that are shown."""
    summary = {
        "dataset": data.name,
        "dataset_title": data.title,
        "train_images": data.train_images,
        "test_images": data.test_images,
        "network": NETWORK,
        "optimizer": f"adam, learning rate {LEARNING_RATE:g}",
        "batch_size": BATCH_SIZE,
        "epochs": len(run.networks["relu"].history.seconds),
        "seed": run.seed,
        **conditions.as_dict(),
        "networks": {
            name: network_block(outcome, labels) for name, outcome in run.networks.items()
        },
        "chance": CHANCE,
        "plateaus": plateau_rows(run),
    }
    return summary | {"claims": [claim.as_dict() for claim in judged(summary)]}


def network_block(outcome: Outcome, labels: np.ndarray) -> dict[str, Any]:
    """The figures of one network by epoch, and those of its layers after the first steps."""
    right = outcome.probabilities.argmax(axis=1) == labels
    return (
        by_epoch(outcome.history)
        | by_layer(outcome.history)
        | {
            "first_steps": [asdict(look) for look in outcome.looks if look.step in FIRST_STEPS],
            "whole_epochs": [asdict(look) for look in outcome.looks if look.epoch in WHOLE_EPOCHS],
            "right": {"count": int(right.sum()), "of": len(right)},  # of the images shown
        }
    )


def plateau_rows(run: Run) -> list[dict[str, Any]]:
    """Each sigmoid network: the epochs at chance, and the layers when it leaves it."""
    sigmoids = [(run.seed, LEARNING_RATE, run.networks["sigmoid"])]
    sigmoids += [(seed, LEARNING_RATE, outcome) for seed, outcome in run.others.items()]
    sigmoids += [(run.seed, GENTLE, run.gentle)]
    return [
        {
            "seed": seed,
            "learning_rate": rate,
            "epochs_trained": len(outcome.history.seconds),
            "epochs_at_chance": plateau(outcome.history.test_accuracy),
            "last_test_accuracy": outcome.history.test_accuracy[-1],
            "moment": moment(outcome),
        }
        for seed, rate, outcome in sigmoids
    ]


def moment(outcome: Outcome) -> dict[str, Any] | None:
    """The looks around the end of the plateau; None where it does not end, or never was.

    It ends with the first look after which all are above 1.5 times chance.
    """
    moving = [look.accuracy > 1.5 * CHANCE for look in outcome.looks]
    if all(moving) or not moving[-1]:
        return None
    first = len(moving) - moving[::-1].index(False)
    before, after = outcome.looks[first - 1], outcome.looks[first]
    return {"epoch": after.epoch, "before": asdict(before), "after": asdict(after)}


def row_of(look: Look | Mapping[str, Any]) -> list[str]:
    """A look as cells: gradients of the layers, then what is told of the dense hidden layer."""
    layers = (look if isinstance(look, Mapping) else asdict(look))["layers"]
    hidden = layers["dense_1"]
    return [
        *(f"{layer['gradient']:.1e}" for layer in layers.values()),
        f"{hidden['size']:.2f}",
        f"{hidden['flat']:.2%}",
        f"{hidden['one_sign']:.2f}",
        f"{hidden['spread']:.1e}",
    ]


ROW_HEAD = ["dW conv", "dW dense 1", "dW dense 2", "|z|", "flat", "one sign", "spread"]


def claims_table(summary: Mapping[str, Any]) -> str:
    """Ours beside published, for the terminal."""
    study = published(summary["epochs"])
    rows = [
        [
            name,
            figure(network["train_accuracy"][-1]),
            figure(float(study[name].train_accuracy[-1])),
            figure(network["test_accuracy"][-1]),
            figure(float(study[name].test_accuracy[-1])),
        ]
        for name, network in summary["networks"].items()
    ]
    theirs_at = published_title(summary["epochs"], EPOCHS)
    head = ["network", "training accuracy", theirs_at, "test accuracy", theirs_at]
    lines = ["", text_table(head, rows), ""]
    for claim in summary["claims"]:
        lines.append(f"{claim['claim']}: {claim['verdict']}\n    {claim['measured']}")
    return "\n".join([*lines, ""])
