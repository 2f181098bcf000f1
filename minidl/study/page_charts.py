"""The charts that the pages of several studies share, drawn from the networks of a summary."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from minidl.pages import Chart, Series
from minidl.study.figures import COLOURS

LAYER_COLOURS = (4, 3, 2, 6, 7, 8, 0, 5, 9)  # of hidden layers: neighbours are told apart
OUTPUT_COLOUR = 1
PARTS = {"train": "training images (running)", "test": "test images"}
BLACK = 9
PROBED = "after each epoch, on the first training images"
GRADIENT = "mean |∂L/∂θ|"

Block = Mapping[str, Any]  # one network of one run, as it stands in a summary


@dataclass(frozen=True)
class Group:
    """The networks of one set-up: ours, a block for each seed, and the published ones."""

    runs: Mapping[str, Sequence[Block]]
    study: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


Groups = Mapping[str, Group]  # by the title of the set-up


def function_colour(name: str) -> int:
    """The colour of an activation function, as in the figures; black for one without."""
    return list(COLOURS).index(name) if name in COLOURS else BLACK


def runs_series(name: str, runs: ArrayLike, **more: Any) -> Series:
    """The mean of several runs over the epochs 1, 2, …, and the band that they lie in."""
    values = np.array(runs, float)  # None becomes NaN
    band = {"low": values.min(axis=0).tolist(), "high": values.max(axis=0).tolist()}
    mean = values.mean(axis=0).tolist() if len(values) > 1 else values[0].tolist()
    epochs = range(1, values.shape[1] + 1)
    return Series(name, epochs, mean, **more, **(band if len(values) > 1 else {}))


def published_series(name: str, values: Sequence[float], **more: Any) -> Series:
    """A published series, dashed, to stand beside ours."""
    y = [float(value) for value in values]
    return Series(f"{name}, published", range(1, len(y) + 1), y, dashed=True, **more)


def learning_charts(groups: Groups, parts: Mapping[str, str] = PARTS) -> list[Chart]:
    """Accuracy and loss by epoch, a panel for each part of the data."""
    about = {
        "accuracy": "Share of the images that are recognised",
        "loss": "Mean cross-entropy of an image",
    }
    note = ": on the training images over the epoch, while the network learns; on the others after "
    note += "the epoch. Dashed: published."
    return [
        Chart(
            f"{what.capitalize()} by epoch",
            said + note,
            "epoch",
            what,
            list(_learning(what, groups, parts)),
            ("linear", "log") if what == "loss" else ("linear",),
            from_zero=False,
        )
        for what, said in about.items()
    ]


def _learning(what: str, groups: Groups, parts: Mapping[str, str]) -> Iterator[Series]:
    for title, group in groups.items():
        for part, panel in parts.items():
            key = f"{part}_{what}"
            where = {"panel": panel, "where": {"set-up": title}}
            for name, runs in group.runs.items():
                colour = function_colour(name)
                yield runs_series(name, [run[key] for run in runs], colour=colour, **where)
                theirs = group.study.get(name, {}).get(key)
                if theirs is not None and len(theirs):
                    yield published_series(name, theirs, colour=colour, **where)


def layer_charts(groups: Groups, layers: Sequence[str] = ()) -> list[Chart]:
    """Gradients, updates and units by layer and epoch, networks side by side.

    Those that the summary has; ``layers`` are the names of all layers with weights.
    """
    said = {
        "gradients": (
            "Size of the gradients by layer",
            f"Mean |∂L/∂θ| of the weights or biases of each layer {PROBED}, L the summed loss.",
            GRADIENT,
        ),
        "update_ratios": (
            "Update-to-weight ratio by layer",
            "‖Δθ‖ / ‖θ‖ of each layer in the last step of each epoch: by which part of their size "
            "its weights or biases move in one step.",
            "‖Δθ‖ / ‖θ‖",
        ),
        "units": (
            "Dead and saturated units by layer",
            "A slope f'(z) below 1% of the function's steepest is flat. Saturated: share of the "
            f"flat slopes. Dead: share of the units flat for every image. {PROBED.capitalize()}.",
            "share",
        ),
    }
    found = []
    for figure, (title, about, y) in said.items():
        series = list(_layers(groups, layers, figure))
        scales = ("linear",) if figure == "units" else ("log", "linear")
        known = [np.isfinite(np.array(s.y, float)).any() for s in series]
        if any(known):  # a probe that was given no update knows no ratio
            found.append(Chart(title, about, "epoch", y, series, scales))
    return found


def _layers(groups: Groups, layers: Sequence[str], figure: str) -> Iterator[Series]:
    """A series for each layer; a panel for each network, ours and then the published one."""
    kind = "share of" if figure == "units" else "parameter"
    for title, group in groups.items():
        for name, runs in group.runs.items():
            for key in runs[0].get(figure, {}):
                where = {"set-up": title, kind: key}
                values = np.array([run[figure][key] for run in runs], float)  # (seeds, epochs, …)
                names = layer_names(runs[0], layers)
                for i, label in enumerate(names[: values.shape[2]]):
                    colour = layer_colour(i, len(names))
                    yield runs_series(
                        label, values[:, :, i], colour=colour, panel=name, where=where
                    )
        if figure == "gradients":
            for name, theirs in group.study.items():
                values = np.array(theirs.get("gradients", np.empty((0, 0))), float)
                for i in range(values.shape[1]):
                    yield Series(
                        f"layer {i + 1}",
                        range(1, len(values) + 1),
                        values[:, i].tolist(),
                        colour=layer_colour(i),
                        panel=f"{name}, published",
                        where={"set-up": title, kind: "weights"},
                    )


def layer_colour(layer: int, count: int | None = None) -> int:
    """The colour of a layer of ``count``, from 0; None: a hidden one."""
    if count is not None and layer == count - 1:
        return OUTPUT_COLOUR
    return LAYER_COLOURS[layer % len(LAYER_COLOURS)]


def layer_names(block: Block, layers: Sequence[str]) -> Sequence[str]:
    """``layers``, or layer 1, layer 2, … and the output layer."""
    count = len(block["gradients"]["weights"][0])
    return layers or [*(f"layer {i}" for i in range(1, count)), "output layer"]
