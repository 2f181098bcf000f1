"""Charts and tables of the report on ResNet-50."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from minidl.pages import Chart, Prose, Table, Told, in_order
from minidl.pages import Series as Line
from minidl.study.charts import PER_CENT, runs_series
from minidl.study.report import percent
from minidl.study.sized_study import SET_UPS
from studies.activation_study.series import Setting, title
from studies.activation_study.training import ACTIVATIONS
from studies.resnet50.claims import TABLES, Block, Figures, collapsed, published
from studies.resnet50.training import COLLAPSES, MOMENTUM, STAGES

PARTS = {"train": "training images (running)", "validation": "validation images"}
STATISTICS = {"batch_accuracy": "the batch's statistics", "validation_accuracy": "running ones"}
COLOURS = {"batch_accuracy": 2, "validation_accuracy": 1}


def _log_lines(panel: str, f: str) -> Iterator[Line]:
    block = published().grid[COLLAPSES][f][0]
    for part, kind in (("train", "batch_accuracy"), ("validation", "validation_accuracy")):
        y = (100 * block[f"{part}_accuracy"]).tolist()
        name = f"{PARTS[part]}, published"
        yield Line(name, range(1, len(y) + 1), y, COLOURS[kind], published=True, panel=panel)


def _rises(f: str) -> str:
    """The published training losses of the last two epochs."""
    before, last = published().grid[COLLAPSES][f][0]["train_loss"][-2:]
    return f"from {before:.3f} to {last:.3f}"


def _validation(kind: str, blocks: Sequence[Block], **more: Any) -> Line:
    """Share of the validation images recognised, by one kind of statistics."""
    style: dict[str, Any] = {"name": STATISTICS[kind], "colour": COLOURS[kind]} | more
    return runs_series(runs=[100 * np.array(block[kind], float) for block in blocks], **style)


def opening(run: Figures) -> Chart:
    plain = run.grid[COLLAPSES]["relu"][0]
    here = "here: the same weights, other statistics"
    lines = [_validation("batch_accuracy", [plain], panel=here)]
    cells = sorted([plain, *run.forgetful], key=lambda cell: float(cell["momentum"]))
    for cell, colour in zip(cells, (3, 1, 0), strict=True):
        style = {"name": f"running, momentum {cell['momentum']:g}", "colour": colour}
        lines.append(_validation("validation_accuracy", [cell], panel=here, **style))
    lines += _log_lines("published: training and validation", "relu")
    about = (
        "ReLU on MNIST with Adam. Here: share of the validation images recognised after each "
        "epoch, normalized with the statistics of the batch, as in training, or with running ones. "
        "Published: training images, over the epoch (the batch's statistics), and validation "
        f"images, after it (running ones, momentum {MOMENTUM:g})."
    )
    name = "The same weights with running statistics and with those of the batch"
    return Chart(name, about, "epoch", PER_CENT, lines, name="same_weights")


BATCH_NORM = (
    "BatchNorm subtracts from each channel its mean μ and divides by its standard deviation σ. In "
    "training, both are those of the batch; in evaluation, they are running means over the batches "
    "so far, running ← m · running + (1 − m) · batch, which remember about 1 / (1 − m) steps. "
    "Nothing in training depends on them: with another momentum m, the weights are the same, bit "
    "for bit. But the weights keep moving. If the statistics of a layer change faster than the "
    "running ones follow, or if these start at 0 and 1 and have had few steps, a network that has "
    "learned is evaluated with statistics that were never its own, in each of its 53 such layers. "
    "At 28×28 pixels, an image is a single pixel in the last stage, so the batch's statistics are "
    "taken there over as many values as the batch has images, and those of a small batch are noisy."
)


def collapse(summary: Mapping[str, Any], run: Figures) -> list[Told]:
    varied = {
        f"momentum {c['momentum']:g}, batch {c['batch_size']}": c
        for c in summary["cells"]
        if c["set_up"] == "as_run"
        and (c["data_set"], c["optimizer"], c["activation"]) == (*COLLAPSES, "relu")
        and c["seed"] == summary["seeds"][0]
    }
    accuracies = [
        _validation(kind, [cell], panel=panel)
        for panel, cell in varied.items()
        for kind in STATISTICS
    ]
    about = "ReLU on MNIST with Adam, as run: share of the validation images recognised."
    charts = [Chart("Momentum and batch size", about, "epoch", PER_CENT, accuracies)]
    for kind, name, y in (
        ("shift", "How far running means lie from the batch's", "|μ_running − μ_batch| / σ_batch"),
        ("scale", "The batch's deviations over the running ones", "σ_batch / σ_running"),
    ):
        lines = [
            line for panel, cell in varied.items() for line in _stages(cell[kind], panel=panel)
        ]
        about = "Median over the channels of each stage, averaged over the validation batches."
        charts.append(Chart(name, about, "epoch", y, lines, ("log", "linear")))
    ours, theirs = (
        np.concatenate([collapsed(b) for blocks in one.grid[COLLAPSES].values() for b in blocks])
        for one in (run, published())
    )
    said = (
        f"In the published run, with Adam on MNIST, {theirs.sum()} of {len(theirs)} epochs end "
        "with a validation loss above 1 that is more than four times the training loss. Two of "
        "these are last epochs, whose weights were tested. In both, the training loss rises, "
        f"{_rises('relu')} with ReLU and {_rises('sigmoid')} with sigmoid: the weights have "
        f"moved. Here, with the study's momentum, it is {ours.sum()} of {len(ours)} epochs."
    )
    logs = [line for f in ACTIVATIONS for line in _log_lines(f, f)]
    about = "MNIST with Adam: the training accuracy shows what the weights have learned."
    log = Chart("The published run, epoch by epoch", about, "epoch", PER_CENT, logs)
    return [Prose([BATCH_NORM]), *charts, Prose([said]), log]


def _stages(values: Any, **more: Any) -> list[Line]:
    """A line for each stage."""
    by_stage = np.array(values, float).T
    return [
        runs_series(stage.replace("_", " "), [y], **in_order(i, len(STAGES)), **more)
        for i, (stage, y) in enumerate(zip(STAGES, by_stage, strict=True))
    ]


def _everywhere(run: Figures, described: Figures) -> Iterator[tuple[str, str, Sequence[Block]]]:
    """Set-up and setting in words, function and blocks of all networks."""
    for set_up, one in zip(SET_UPS.values(), (run, described), strict=True):
        for setting, networks in one.grid.items():
            for f, blocks in networks.items():
                yield f"{title(setting)}, {set_up}", f, blocks


def statistics(run: Figures, described: Figures) -> Chart:
    lines = [
        _validation(kind, blocks, panel=f, where={"setting": where})
        for where, f, blocks in _everywhere(run, described)
        for kind in STATISTICS
    ]
    about = "Share of the validation images recognised after each epoch."
    return Chart("Validation accuracy by both statistics", about, "epoch", PER_CENT, lines)


def gradients(run: Figures, described: Figures) -> list[Told]:
    lines = [
        line
        for where, f, blocks in _everywhere(run, described)
        for line in _stages(blocks[0]["gradients"], panel=f, where={"setting": where})
    ]
    about = "L2 norm of ∂L/∂W of the convolutions of each stage for the last batch of each epoch, "
    about += (
        "with L the mean cross-entropy. The study shows them by layer, in plots without numbers."
    )
    return [Chart("Gradients by stage", about, "epoch", "‖∂L/∂W‖", lines, ("log", "linear"))]


def _accuracy(block: Block, weights: str = "last") -> float:
    return float(block["test"][weights]["accuracy"])


def spreads(run: Figures) -> Table:
    study, rows = published().grid, []
    for setting, networks in run.grid.items():
        theirs = [_accuracy(blocks[0]) for blocks in study[setting].values()]
        row = [title(setting), f"{100 * np.ptp(theirs):.2f}"]
        for weights in ("last", "best"):
            ours = [_accuracy(blocks[0], weights) for blocks in networks.values()]
            seeds = [_accuracy(block, weights) for block in networks["relu"]]
            row += [f"{100 * np.ptp(some):.2f}" for some in (ours, seeds)]
        rows.append(row)
    head = ["setting", "published", "functions, last weights", "ReLU's seeds, last weights"]
    head += ["functions, best weights", "ReLU's seeds, best weights"]
    return Table("Highest minus lowest test accuracy in points, as run", head, rows)


def test_table(setting: Setting, run: Figures, described: Figures) -> Table:
    rows = []
    for f, (theirs, *_) in published().grid[setting].items():
        a, b = (one.grid[setting][f][0]["test"] for one in (run, described))
        rows.append(
            [
                f,
                *(
                    percent(t["accuracy"], 2)
                    for t in (theirs["test"]["last"], a["last"], a["best"])
                ),
                percent(a["last"]["batch_accuracy"], 2),
                *(percent(b[weights]["accuracy"], 2) for weights in ("last", "best")),
                *(f"{t['loss']:.3f}" for t in (theirs["test"]["last"], a["last"], b["best"])),
            ]
        )
    head = ["function", "published", "as run, last", "best", "last, the batch's statistics"]
    head += ["as described, last", "best"]
    head += ["loss: published", "as run, last", "as described, best"]
    return Table(f"Table {TABLES[setting]}, {title(setting)}", head, rows)


def epochs(run: Figures, described: Figures) -> Table:
    rows = []
    for setting, networks in published().grid.items():
        for f, (theirs, *_) in networks.items():
            row = [f"{title(setting)}, {f}", str(theirs["epochs"])]
            for one in (run, described):
                row += [str(one.grid[setting][f][0][name]) for name in ("epochs", "best_epoch")]
            rows.append(row)
    best = "epoch of the lowest validation loss"
    head = ["network", "published", "as run", best, "as described", best]
    return Table("Epochs until early stopping", head, rows)


def published_logs(setting: Setting) -> dict[str, Block]:
    return {f: blocks[0] for f, blocks in published().grid[setting].items()}
