"""The report page of the activation study, made from the summary and epochs.csv of a run."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from activation_study_claims import (
    PATIENCE,
    REASONS,
    TABLES,
    Setting,
    published,
    published_title,
    title,
)
from activation_study_figures import LAYERS
from activation_study_training import BATCH_SIZE, EPOCHS, SET_UPS

from minidl.pages import Chart, Page, Section, Series
from minidl.storage.files import read_bytes
from minidl.study.page import (
    LARGEST,
    claims_section,
    held,
    read_summary,
    report_page,
    set_up_section,
)
from minidl.study.page_charts import (
    Group,
    layer_colour,
    learning_charts,
    runs_series,
)
from minidl.study.tables import counted

PARTS = {"train": "training images (running)", "validation": "validation images"}
ByEpoch = Mapping[Setting, Mapping[str, Mapping[str, list[float]]]]  # by setting and function


def page(folder: Path) -> Page:
    """The page of the run in ``folder``."""
    summary = read_summary(folder)
    cells = _by_epoch(folder)
    options = summary["options"]
    groups = {title(setting): _group(setting, networks) for setting, networks in cells.items()}
    claims = {f"ours, {w} weights": summary["claims"][w] for w in ("last", "best")}
    theirs = published_title(options["epochs"])
    return report_page(
        "Five activation functions, two optimizers, MNIST and CIFAR-10: "
        + SET_UPS[options["set-up"]].title,
        "Is one activation function better than ReLU in a small convolutional network? A published "
        "study trained one network with five functions and drew its conclusions from their order.",
        _answer(summary),
        [_tested(summary)],
        [
            claims_section(claims, REASONS, "One seed, as in the study.", theirs),
            Section("Accuracy and loss", learning_charts(groups, PARTS)),
            Section("Layer by layer", [_gradients(cells)]),
            set_up_section(_set_up(summary), summary),
        ],
        _warning(summary),
    )


def _by_epoch(folder: Path) -> ByEpoch:
    """``epochs.csv``."""
    found: dict[Setting, dict[str, dict[str, list[float]]]] = {}
    text = read_bytes(folder / "epochs.csv", LARGEST).decode("utf-8")
    for row in csv.DictReader(io.StringIO(text, newline="")):
        setting = row.pop("data_set"), row.pop("optimizer")
        columns = found.setdefault(setting, {}).setdefault(row.pop("activation"), {})
        for name, value in row.items():
            columns.setdefault(name, []).append(float(value))
    return found


def _group(setting: Setting, networks: Mapping[str, Mapping[str, list[float]]]) -> Group:
    losses = ("train_loss", "validation_loss")  # what is kept of the study by epoch
    study = {
        name: {key: getattr(series, key) for key in losses}
        for name, series in published()[setting].items()
    }
    return Group({name: [columns] for name, columns in networks.items()}, study)


def _answer(summary: Mapping[str, Any]) -> str:
    claims = summary["claims"]["last"]
    best = []
    for setting in {(c["data_set"], c["optimizer"]): None for c in summary["cells"]}:
        tested = {
            c["activation"]: c["test"]["last"]["accuracy"]
            for c in summary["cells"]
            if (c["data_set"], c["optimizer"]) == setting
        }
        first = max(tested, key=tested.__getitem__)
        spread = 100 * (max(tested.values()) - min(tested.values()))
        best.append(f"{first} on {title(setting)} ({spread:.1f} points ahead of the last)")
    return f"{held(claims)}; the most accurate is {', '.join(best)}."


def _warning(summary: Mapping[str, Any]) -> str:
    run = {(cell["data_set"], cell["optimizer"]) for cell in summary["cells"]}
    missing = [title(setting) for setting in TABLES if setting not in run]
    said = f"Not run: {', '.join(missing)}. " if missing else ""
    if missing:
        said += "The verdicts are about the other settings. "
    if summary["options"]["epochs"] != EPOCHS:
        epochs = counted(summary["options"]["epochs"], "epoch")
        said += f"At most {epochs} instead of the study's {EPOCHS}."
    return said


def _tested(summary: Mapping[str, Any]) -> Chart:
    about = "Share of the test images that are recognised: with the weights after the last epoch, "
    about += "with those at the lowest validation loss, and published."
    series = list(_accuracies(summary))
    return Chart(
        "Test accuracy of each function", about, "function", "accuracy", series, from_zero=False
    )


def _accuracies(summary: Mapping[str, Any]) -> Iterator[Series]:
    settings = {(c["data_set"], c["optimizer"]): None for c in summary["cells"]}
    for setting in reversed(settings):  # the harder data first
        cells = [c for c in summary["cells"] if (c["data_set"], c["optimizer"]) == setting]
        names = [cell["activation"] for cell in cells]
        where = {"setting": title(setting)}
        for colour, weights in ((4, "last"), (2, "best")):
            y = [cell["test"][weights]["accuracy"] for cell in cells]
            yield Series(f"{weights} weights", names, y, colour, where=where)
        theirs = [published()[setting][name].accuracy for name in names]
        yield Series("published", names, theirs, 9, dashed=True, where=where)


def _gradients(cells: ByEpoch) -> Chart:
    series = [
        runs_series(
            label,
            [columns[f"gradient_{layer}"]],
            colour=layer_colour(i, len(LAYERS)),
            panel=name,
            where={"setting": title(setting)},
        )
        for setting, networks in cells.items()
        for name, columns in networks.items()
        for i, (layer, label) in enumerate(LAYERS.items())
    ]
    about = "L2 norm of ∂L/∂W of each layer for the last batch of each epoch, L the mean "
    about += "cross-entropy. The study shows them as pictures without figures."
    return Chart("Gradients by layer", about, "epoch", "‖∂L/∂W‖", series, ("log", "linear"))


def _set_up(summary: Mapping[str, Any]) -> list[list[str]]:
    options = summary["options"]
    return [
        [
            "network",
            "conv 5×5 to 6, f, max 2, conv 5×5 to 16, f, max 2, dense 120, f, dense 84, f, "
            "dense 10",
        ],
        ["functions f", "sigmoid, ReLU, leaky ReLU (0.01), ELU (α = 1), SELU"],
        ["weights", SET_UPS[options["set-up"]].start],
        ["optimizers", "SGD, learning rate 0.001, momentum 0.9; Adam, learning rate 0.001"],
        ["batch size", str(BATCH_SIZE)],
        [
            "epochs",
            f"at most {options['epochs']}, early stopping on the validation loss, patience "
            f"{PATIENCE}",
        ],
        ["seed", str(options["seed"])],
    ]
