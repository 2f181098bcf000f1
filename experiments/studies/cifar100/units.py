"""Which hidden units are dead on all training images, and the gradients of the others."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from minidl import Network
from minidl.data.examples import Examples
from minidl.inspection import dead_units, probe
from minidl.losses import Loss
from minidl.pages import Prose, Table, Told
from minidl.study.series import PROBED
from minidl.study.tables import figure


class AllImages(NamedTuple):
    """The hidden layers after the last epoch."""

    dead: list[float]  # share of units whose slope is flat for each of all training images
    live_gradients: list[float]  # mean |∂L/∂W| of the other units; NaN if there are none


def over_all_images(network: Network, examples: Examples, loss: Loss) -> AllImages:
    """A forward pass over all training images; then the gradients of the probed loss, by unit."""
    examples = examples.to(network.device)
    dead = dict(list(dead_units(network, examples).items())[:-1])  # without the output layer
    probe(network, loss, *examples.first(PROBED).batch(0, PROBED, network.dtype), "sum")
    gradients = []
    for name, units in dead.items():
        live = abs(network[name].gradients()["W"][:, ~units])
        gradients.append(float(live.mean()) if live.size else math.nan)
    return AllImages([float(units.mean()) for units in dead.values()], gradients)


# -- what a summary says about them -------------------------------------------------------------


def unit_parts(summary: Mapping[str, Any]) -> list[Told]:
    """The dead units of each hidden layer after the last epoch."""
    rows = []
    for name, block in summary["networks"].items():
        dead, live = block["all_images"]["dead"], block["all_images"]["live_gradients"]
        on_few, gradients = block["units"]["dead"][-1], block["gradients"]["weights"][-1]
        for i in range(len(dead)):
            shares = [f"{share:.1%}" for share in (on_few[i], dead[i])]
            sizes = [figure(1e3 * g, 2) for g in (gradients[i], live[i])]
            rows.append([name, f"layer {i + 1}", *shares, *sizes])
    head = ["network", "hidden layer", f"dead on the {PROBED} images used for the gradients"]
    head += [f"dead on all {summary['train_images']:,} training images"]
    head += ["mean |∂L/∂W| × 10⁻³", "of the live units"]
    return [Prose([explained(summary)]), Table("After the last epoch", head, rows)]


def explained(summary: Mapping[str, Any]) -> str:
    """Whether, by the figures of this run, dead units explain why ReLU's first layer lags."""
    said = (
        "A unit is dead on a set of images if the slope of its activation function is flat (below "
        "1% of the steepest) for each of them; with ReLU it then outputs 0, and the gradient of "
        "its weights is 0. A layer's mean gradient is taken over all units, dead ones included."
    )
    block = summary["networks"].get("relu")
    if block is None or len(block["all_images"]["dead"]) < 2:
        return said
    dead = block["all_images"]["dead"]
    gradients = block["gradients"]["weights"][-1][:-1]
    live = block["all_images"]["live_gradients"]
    others = dict.fromkeys(f"{share:.1%}" for share in (min(dead[1:]), max(dead[1:])))
    said += (
        f" After the last epoch, {dead[0]:.1%} of the units of ReLU's first layer are dead on all "
        f"training images, and {' to '.join(others)} of those of each other hidden layer. "
    )
    if not np.isfinite(live).all():
        return said + "In a layer without live units, there is nothing to compare."
    if np.argmin(gradients) != 0:
        return said + "The first layer's mean gradient is not the smallest one."
    if np.argmin(live) != 0:
        return (
            said + "Over the live units alone, the first layer's mean gradient is no longer the "
            "smallest: **the lag of the first layer is explained by its dead units.**"
        )
    return (
        said + "Over the live units alone, the first layer still has the smallest mean gradient: "
        "**dead units do not explain why the first layer lags.**"
    )
