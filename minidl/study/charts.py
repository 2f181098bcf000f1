"""The charts that the reports of several studies share, made from the networks of a summary."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from minidl.pages import Chart, Series, in_order
from minidl.pages.colours import function_colour

PARTS = {"train": "training images (running)", "test": "test images"}
LEARNED = {
    "accuracy": "Images that are recognised, in per cent",
    "loss": "Mean cross-entropy of an image",
}
PROBED = "after each epoch, on the first training images"
GRADIENT = "mean |∂L/∂θ|"
PER_CENT = "accuracy, %"

Block = Mapping[str, Any]  # one network of one run, as in a summary


@dataclass(frozen=True)
class Group:
    """The networks of one set-up: ours, one block per seed, and the published ones."""

    runs: Mapping[str, Sequence[Block]]
    study: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


Groups = Mapping[str, Group]  # by the title of the set-up


def runs_series(name: str, runs: ArrayLike, **more: Any) -> Series:
    """The mean of several runs at the epochs 1, 2, …, and the band from lowest to highest."""
    values = np.array(runs, float)  # None becomes NaN
    return over(name, range(1, values.shape[1] + 1), values.T, **more)


def over(name: str, x: Sequence[Any], values: ArrayLike, **more: Any) -> Series:
    """The mean over the seeds of ``values`` (x, seeds), and the band from lowest to highest."""
    y = np.array(values, float)
    if y.shape[1] == 1:
        return Series(name, x, y[:, 0].tolist(), **more)
    band = f"from the smallest to the largest of {y.shape[1]} seeds"
    ends = {"low": y.min(axis=1).tolist(), "high": y.max(axis=1).tolist()}
    return Series(name, x, y.mean(axis=1).tolist(), band=band, **ends, **more)


def published_series(name: str, values: ArrayLike, **more: Any) -> Series:
    """A published series, drawn dashed beside ours."""
    y = np.asarray(values, float).tolist()
    return Series(f"{name}, published", range(1, len(y) + 1), y, published=True, **more)


def learning_charts(groups: Groups, parts: Mapping[str, str] = PARTS) -> list[Chart]:
    """Accuracy and loss by epoch, a panel for each part of the data."""
    return [learning_chart(what, list(_learning(what, groups, parts))) for what in LEARNED]


def learning_chart(what: str, series: Sequence[Series]) -> Chart:
    """Accuracy or loss by epoch."""
    note = ": on the training images over the epoch, while the network learns; on the others after "
    note += "the epoch."
    return Chart(
        f"{what.capitalize()} by epoch",
        LEARNED[what] + note,
        "epoch",
        PER_CENT if what == "accuracy" else what,
        series,
        ("linear", "log") if what == "loss" else ("linear",),
        from_zero=False,
    )


def _learning(what: str, groups: Groups, parts: Mapping[str, str]) -> Iterator[Series]:
    for title, group in groups.items():
        for part, panel in parts.items():
            key = f"{part}_{what}"
            where = {"panel": panel, "where": {"set-up": title}}
            for name, runs in group.runs.items():
                yield from beside(name, key, runs, group.study.get(name, {}), **where)


def beside(
    name: str, key: str, runs: Sequence[Block], study: Mapping[str, Any], **more: Any
) -> Iterator[Series]:
    """A quantity of a network by epoch, ours and the published one; accuracies in per cent."""
    unit = 100 if key.endswith("accuracy") else 1
    more = {"colour": function_colour(name)} | more
    yield runs_series(name, [unit * np.array(run[key], float) for run in runs], **more)
    theirs = study.get(key)
    if theirs is not None and len(theirs):
        yield published_series(name, unit * np.asarray(theirs), **more)


def layer_charts(groups: Groups, layers: Sequence[str] = ()) -> list[Chart]:
    """Gradients, updates and units by layer and epoch, networks side by side.

    Quantities that the summary does not have are omitted; ``layers`` are the names of all layers
    with weights.
    """
    said = {
        "gradients": (
            "Size of the gradients by layer",
            f"Mean |∂L/∂θ| of the weights or biases of each layer {PROBED}, L the summed loss.",
            GRADIENT,
        ),
        "update_ratios": (
            "Update-to-weight ratio by layer",
            "‖Δθ‖ / ‖θ‖ of each layer in the last step of each epoch: how far its weights or "
            "biases move in one step, relative to their size.",
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
        if any(known):  # without an update, a probe has no ratios
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
                names = layers or layer_names(len(runs[0]["gradients"]["weights"][0]))
                for i, label in enumerate(names[: values.shape[2]]):
                    more = {"panel": name, "where": where} | in_order(i, len(names))
                    yield runs_series(label, values[:, :, i], **more)
        if figure == "gradients":
            for name, theirs in group.study.items():
                values = np.array(theirs.get("gradients", np.empty((0, 0))), float)
                for i in range(values.shape[1]):
                    yield Series(
                        f"layer {i + 1}",
                        range(1, len(values) + 1),
                        values[:, i].tolist(),
                        published=True,
                        panel=f"{name}, published",
                        where={"set-up": title, kind: "weights"},
                        **in_order(i, values.shape[1] + 1),  # the output layer is not among them
                    )


def layer_names(count: int) -> list[str]:
    """Layer 1, layer 2, … and the output layer."""
    return [*(f"layer {i}" for i in range(1, count)), "output layer"]
