"""Charts and tables of the activation study's report."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from minidl.pages import Chart, Prose, Table, Told, in_order
from minidl.pages import Series as Line
from minidl.study.charts import PER_CENT, Group, runs_series
from minidl.study.claims import known
from studies.activation_study.kept import LAYERS, Kept
from studies.activation_study.series import TABLES, Grid, Series, Setting, published, title
from studies.activation_study.training import CellData

PARTS = {"train": "training images (running)", "validation": "validation images"}
DIGITS = {"accuracy": 2, "loss": 3, "f1": 3}


def tested(kept: Kept) -> Chart:
    series = []
    for setting in reversed(list(kept)):  # the harder data first
        cells, where = kept[setting], {"setting": title(setting)}
        for colour, which in ((4, "last"), (2, "best")):
            y = [100 * cell["test"][which]["accuracy"] for cell in cells.values()]
            series.append(Line(f"{which} weights", list(cells), y, colour, where=where))
        theirs = [100 * published()[setting][name].accuracy for name in cells]
        series.append(Line("published", list(cells), theirs, 9, published=True, where=where))
    about = "Share of the test images recognised, with the weights after the last epoch and with "
    about += "those at the lowest validation loss."
    name = "Test accuracy of each function"
    return Chart(name, about, "function", PER_CENT, series, from_zero=False)


def gradients(kept: Kept) -> Chart:
    series = [
        runs_series(
            label,
            [cell["gradient_norms"][layer]],
            panel=name,
            where={"setting": title(setting)},
            **in_order(i, len(LAYERS)),
        )
        for setting, cells in kept.items()
        for name, cell in cells.items()
        for i, (layer, label) in enumerate(LAYERS.items())
    ]
    about = "L2 norm of ∂L/∂W of each layer for the last batch of each epoch, with L the "
    about += "mean cross-entropy. The study shows them in plots, without numbers."
    return Chart("Gradients by layer", about, "epoch", "‖∂L/∂W‖", series, ("log", "linear"))


def weights(ours: Mapping[str, Grid], study: Grid) -> list[Told]:
    rows = []
    for who, some in (("published", study), *((f"ours, {w}", one) for w, one in ours.items())):
        for setting, networks in some.items():
            each = networks.values()
            above_last = np.mean([s.loss - s.validation_loss[-1] for s in each])
            above_best = np.mean([s.loss - s.validation_loss.min() for s in each])
            rows.append([who, title(setting), f"{above_last:+.3f}", f"{above_best:+.3f}"])
    head = ["test loss", "setting", "minus the last validation loss", "minus the lowest one"]
    before = (
        "The study does not say whether its figures are for the weights after the last epoch or "
        "for those with the lowest validation loss, five epochs earlier. Its own logs show which: "
        "validation and test images are drawn alike, so the losses on them should be nearly the "
        "same."
    )
    after = (
        "With Adam on CIFAR-10, the published test losses fit the last weights, not the best. This "
        "run therefore also tests the last weights, and shows the figures of the best beside them."
    )
    return [Prose([before]), Table("Means over the five functions", head, rows), Prose([after])]


def test_table(setting: Setting, ours: Mapping[str, Grid], study: Grid, theirs: str) -> Table:
    names = {"accuracy": "accuracy, %", "loss": "loss", "f1": "F1"}
    head = ["function"]
    for shown in names.values():
        head += [f"{shown}: {theirs}", "ours, last", "ours, best"]
    rows = []
    for name in ours["last"][setting]:
        row = [name]
        for what in names:
            for some in (study, ours["last"], ours["best"]):
                value = (100 if what == "accuracy" else 1) * getattr(some[setting][name], what)
                row.append(f"{value:.{DIGITS[what]}f}")
        rows.append(row)
    return Table(f"Table {TABLES[setting]}, {title(setting)}", head, rows)


def time_table(setting: Setting, cells: Mapping[str, CellData], study: Grid, shown: str) -> Table:
    rows = []
    for name, cell in cells.items():
        theirs, seconds = study[setting][name], sum(cell["seconds"])
        epochs = [str(n) for n in (theirs.epochs, cell["epochs"], cell["best_epoch"])]
        times = [f"{theirs.seconds:.1f}", f"{seconds:.1f}"]
        each = [f"{theirs.seconds / theirs.epochs:.2f}", f"{seconds / cell['epochs']:.2f}"]
        rows.append([name, *epochs, *times, *each])
    head = ["function", f"epochs: {shown}", "ours", "epoch of the lowest validation loss"]
    head += [f"total s: {shown}", "ours", f"s per epoch: {shown}", "ours"]
    return Table(f"Table {TABLES[setting] + 4}, {title(setting)}", head, rows)


def gradient_table(setting: Setting, networks: Mapping[str, Series]) -> Table:
    rows = []
    for name, series in networks.items():
        norms = [known(series.gradients)[layer] for layer in LAYERS]
        ratio = float(np.median(norms[0] / norms[-1]))
        rows.append([name, *(f"{n.mean():.3f}" for n in norms), f"{ratio:.3f}"])
    about = "gradient norms, means over the epochs; median ratio of the first layer's to the last's"
    return Table(f"{title(setting)}: {about}", ["function", *LAYERS.values(), "first / last"], rows)


def group(setting: Setting, cells: Mapping[str, CellData]) -> Group:
    losses = ("train_loss", "validation_loss")  # which the study gives by epoch
    study = {
        name: {key: getattr(series, key) for key in losses}
        for name, series in published()[setting].items()
    }
    return Group({name: [cell] for name, cell in cells.items()}, study)
