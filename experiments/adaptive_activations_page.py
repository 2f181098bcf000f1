"""The report page of the study of adaptive activation functions, made from a run's summary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from adaptive_activations_claims import REASONS
from adaptive_activations_series import last, published
from adaptive_activations_summary import SET_UPS
from adaptive_activations_training import DEPTHS, FULL, FUNCTIONS, HINGES, S

from minidl.pages import Chart, Page, Part, Section, Series
from minidl.study.claims import count, published_title
from minidl.study.page import (
    claims_section,
    pictures,
    read_summary,
    report_page,
    set_up_section,
)
from minidl.study.page_charts import (
    Block,
    Group,
    function_colour,
    layer_charts,
    learning_charts,
)

LAYERS = ("convolution 1", "convolution 2", "convolution 3", "dense 1", "dense 2", "output layer")
PICTURES = {
    f"shapes_{key}": f"h(x) of the first channel after each convolution, S = {S}, {title}"
    for key, title in SET_UPS.items()
}
Trainings = Mapping[tuple[str, str], Sequence[Block]]  # by group and name, one for each seed


def page(folder: Path) -> Page:
    """The page of the run in ``folder``."""
    summary = read_summary(folder)
    trainings = _trainings(summary)
    groups = {title: _group(trainings, key) for key, title in SET_UPS.items()}
    claims = {title: summary["claims"][key] for key, title in SET_UPS.items()}
    theirs = published_title(summary["size"]["epochs"], FULL.epochs)
    parts: list[Part] = [*learning_charts(groups), *pictures(folder, PICTURES)]
    sections = [
        claims_section(claims, REASONS, published=theirs),
        Section("APL, ReLU, leaky ReLU", parts),
        Section("Depth", [_depths(trainings)]),
        set_up_section(_set_up(summary), summary),
    ]
    if all("gradients" in block for blocks in trainings.values() for block in blocks):
        sections.insert(2, Section("Layer by layer", layer_charts(groups, LAYERS)))
    return report_page(
        "Adaptive piecewise linear units on CIFAR-10: as run and as described",
        "Do activation functions that are learned, h(x) = max(0, x) + Σ_s a_s max(0, b_s − x), "
        "beat ReLU and leaky ReLU, and how many hinges S do they need? A published study says that "
        "they do, and that S matters; its run differs from its text in three points.",
        _answer(summary, trainings),
        [_hinges(trainings)],
        sections,
        _warning(summary),
    )


def _trainings(summary: Mapping[str, Any]) -> Trainings:
    found: dict[tuple[str, str], list[Block]] = {}
    for run in summary["runs"]:
        for training in run["trainings"]:
            found.setdefault((training["group"], training["name"]), []).append(training)
    return found


def _group(trainings: Trainings, key: str) -> Group:
    """The three functions; as run, leaky ReLU is the same, and APL is the network of S = 5."""
    runs = {name: trainings["functions_as_described", name] for name in FUNCTIONS}
    if key == "as_run":
        runs["apl"] = trainings["hinges_as_described", str(S)]
        runs["relu"] = trainings["functions_as_run", "relu"]
    return Group(runs, {name: vars(series) for name, series in published().functions.items()})


def _accuracies(runs: Sequence[Block]) -> list[float]:
    return [run["test_accuracy"][-1] for run in runs]


def _answer(summary: Mapping[str, Any], trainings: Trainings) -> str:
    run, described = (summary["claims"][key] for key in SET_UPS)
    first, final, new = (
        float(np.mean(_accuracies(trainings[cell])))
        for cell in (("hinges_as_run", "1"), ("hinges_as_run", "10"), ("hinges_as_described", "10"))
    )
    return (
        f"Of {len(run)} published claims, as run {count(run)}; as described {count(described)}. "
        f"The network that is trained on from S\u00a0=\u00a01 to S\u00a0=\u00a010 goes from "
        f"{first:.4f} to {final:.4f}, a new one with S\u00a0=\u00a010 reaches {new:.4f}. In the "
        "study the time trained grows with S."
    )


def _warning(summary: Mapping[str, Any]) -> str:
    size = summary["size"]
    if summary["is_full_size"]:
        return ""
    return (
        f"Smaller than the study: {size['train_images']:,} of its {FULL.train_images:,} training "
        f"images, {size['dense']:,} of its {FULL.dense:,} units in a dense layer, {size['epochs']} "
        "epochs. The accuracies cannot be compared with the published ones; who is ahead of whom "
        "can."
    )


def _over(x: Sequence[int], runs: Sequence[Sequence[Block]], name: str, colour: int) -> Series:
    """The last test accuracy over the number x: mean and range of the seeds."""
    y = np.array([_accuracies(some) for some in runs])  # (x, seeds)
    band = y.min(axis=1).tolist(), y.max(axis=1).tolist()
    return Series(name, x, y.mean(axis=1).tolist(), colour, low=band[0], high=band[1])


def _hinges(trainings: Trainings) -> Chart:
    series = [
        _over(HINGES, [trainings[f"hinges_{key}", str(s)] for s in HINGES], title, colour)
        for colour, (key, title) in zip((1, 4), SET_UPS.items(), strict=True)
    ]
    theirs = [last(published().hinges[s]) for s in HINGES]
    series.append(Series("published", HINGES, theirs, 9, dashed=True))
    about = "Test accuracy after the last epoch by the number of hinges: as run, one network "
    about += "trained on from each S to the next; as described, a new network for each S. Mean and "
    about += "range of the seeds."
    return Chart("Accuracy by number of hinges", about, "S", "accuracy", series)


def _depths(trainings: Trainings) -> Chart:
    series = [
        _over(DEPTHS, [trainings[f"depth_{d}", f] for d in DEPTHS], f, function_colour(f))
        for f in FUNCTIONS
    ]
    about = "Test accuracy after the last epoch of smaller networks with 3, 5 and 7 layers; mean "
    about += "and range of the seeds."
    return Chart("Accuracy by depth", about, "layers", "accuracy", series)


def _set_up(summary: Mapping[str, Any]) -> list[list[str]]:
    size = summary["size"]
    return [
        [
            "data",
            f"CIFAR-10, the first {size['train_images']:,} training and {size['test_images']:,} "
            "test images; pixels from −1 to 1",
        ],
        [
            "network",
            f"three convolutions 5×5 of {', '.join(map(str, size['channels']))} channels, each "
            f"with its function, a pool and dropout 0.25; two dense layers of {size['dense']:,} "
            "units, each with dropout 0.5; dense layer to 10",
        ],
        ["weights", "He-normal, zero biases; a from U(−1/√S, 1/√S), b = 0"],
        ["optimizer", "Adam, learning rate 0.001, L2 penalty 0.001 on all parameters"],
        ["epochs, batch size", f"{size['epochs']}, {size['batch_size']}"],
        ["seeds", ", ".join(map(str, summary["seeds"]))],
    ]
