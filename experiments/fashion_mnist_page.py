"""The report page of the Fashion-MNIST study, made from the summary of a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fashion_mnist_claims import REASONS, published
from fashion_mnist_training import EPOCHS, SET_UPS

from minidl.pages import Chart, Page, Section, Series, Table
from minidl.study.claims import count, published_title
from minidl.study.page import (
    claims_section,
    pictures,
    read_summary,
    report_page,
    set_up_section,
)
from minidl.study.page_charts import (
    Group,
    function_colour,
    layer_charts,
    learning_charts,
    published_series,
    runs_series,
)
from minidl.study.tables import counted

OPENING = ("as_run", "as_run_adam", "as_described")  # the set-ups that tell the story
NOT_CLASSES = ("macro avg", "weighted avg")
MISTAKES = "Of each class the first test image that the network takes for another, "
PICTURES = {f"{key}_mistakes": MISTAKES + SET_UPS[key].title for key in ("as_run", "as_described")}


def page(folder: Path) -> Page:
    """The page of the run in ``folder``."""
    summary = read_summary(folder)
    epochs, set_ups = summary["epochs"], summary["set_ups"]
    groups = {SET_UPS[key].title: _group(key, block) for key, block in set_ups.items()}
    claims = {SET_UPS[key].title: block["claims"] for key, block in set_ups.items()}
    return report_page(
        "Sigmoid against ReLU on Fashion-MNIST: as run and as described",
        "Does ReLU learn Fashion-MNIST better than sigmoid? A published study said yes, by 21.6 "
        "points; its text describes another network and another optimizer than its run.",
        _answer(summary),
        [_opening(groups)],
        [
            claims_section(claims, REASONS, published=published_title(epochs, EPOCHS)),
            Section("Accuracy and loss", learning_charts(groups)),
            Section("Layer by layer", layer_charts(groups)),
            Section("Class by class", [_classes(groups), *pictures(folder, PICTURES)]),
            Section("The four set-ups", [_set_ups(set_ups)]),
            set_up_section(_set_up(summary), summary),
        ],
        "" if epochs == EPOCHS else f"{counted(epochs, 'epoch')} instead of the study's {EPOCHS}.",
    )


def _group(key: str, block: Mapping[str, Any]) -> Group:
    runs = {name: [run["networks"][name] for run in block["runs"]] for name in block["networks"]}
    return Group(runs, {name: vars(series) for name, series in published().get(key, {}).items()})


def _answer(summary: Mapping[str, Any]) -> str:
    set_ups = summary["set_ups"]
    ahead = {}
    for key in OPENING:
        networks = set_ups[key]["networks"]
        relu, sigmoid = (networks[name]["test_accuracy"][-1] for name in ("relu", "sigmoid"))
        ahead[key] = f"{100 * (relu - sigmoid):.1f}"
    run, described = (set_ups[key]["claims"] for key in ("as_run", "as_described"))
    return (
        f"Of {len(run)} published claims, as run {count(run)}; as described {count(described)}. In "
        f"test accuracy ReLU is ahead by {ahead['as_run']} points with the study's plain SGD, by "
        f"{ahead['as_run_adam']} with Adam in its place, and by {ahead['as_described']} as "
        "described."
    )


def _opening(groups: Mapping[str, Group]) -> Chart:
    series = []
    for key in OPENING:
        title = SET_UPS[key].title
        for name, runs in groups[title].runs.items():
            colour, accuracy = function_colour(name), [run["test_accuracy"] for run in runs]
            series.append(runs_series(name, accuracy, colour=colour, panel=title))
            if name in groups[title].study:
                theirs = groups[title].study[name]["test_accuracy"]
                series.append(published_series(name, theirs, colour=colour, panel=title))
    about = "Share of the test images that are recognised after each epoch; mean and range of the "
    about += "seeds. Dashed: published."
    return Chart("Test accuracy in three set-ups", about, "epoch", "accuracy", series)


def _classes(groups: Mapping[str, Group]) -> Chart:
    about = "F1, the harmonic mean of precision and recall, after the last epoch; mean of the "
    about += "seeds. Empty: published."
    series = list(_scores(groups))
    return Chart("F1 of each class", about, "class", "F1", series, from_zero=False)


def _scores(groups: Mapping[str, Group]) -> Iterator[Series]:
    for title, group in groups.items():
        for name, runs in group.runs.items():
            reports = [run["classification_report"] for run in runs]
            classes = [label for label in reports[0] if label not in NOT_CLASSES]
            y = [sum(report[c]["f1"] for report in reports) / len(reports) for c in classes]
            style: dict[str, Any] = {"colour": function_colour(name), "where": {"set-up": title}}
            yield Series(name, classes, y, **style)
            if group.study.get(name, {}).get("by_class"):
                theirs = [group.study[name]["by_class"][c]["f1"] for c in classes]
                yield Series(f"{name}, published", classes, theirs, dashed=True, **style)


def _set_ups(set_ups: Mapping[str, Any]) -> Table:
    rows = [
        [
            SET_UPS[key].title,
            *(block["network"], block["optimizer"], str(block["batch_size"])),
            "pooled, a fifth of each class for the test" if SET_UPS[key].is_pooled else "official",
            f"{block['train_images']:,} / {block['test_images']:,}",
        ]
        for key, block in set_ups.items()
    ]
    head = ["set-up", "network", "optimizer", "batch size", "split", "training / test images"]
    return Table("What differs", head, rows)


def _set_up(summary: Mapping[str, Any]) -> list[list[str]]:
    return [
        ["data", f"{summary['dataset_title']}, pixels / 255"],
        ["weights, loss", "Glorot-uniform, zero biases; softmax cross-entropy"],
        ["epochs", str(summary["epochs"])],
        ["seeds", ", ".join(map(str, summary["seeds"]))],
    ]
