"""What a run of the Fashion-MNIST study writes: tables, figures and the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from fashion_mnist_claims import REASONS, published
from fashion_mnist_figures import all_figures
from fashion_mnist_page import page
from fashion_mnist_summary import Runs, both, summarise
from fashion_mnist_training import ACTIVATIONS, EPOCHS, SET_UPS

from minidl.study import Conditions, DataUsed, RunFolder, count, markdown_table
from minidl.study.claims import published_title
from minidl.study.histories import epoch_rows
from minidl.study.page import RULE
from minidl.study.tables import counted


def write_report(
    folder: RunFolder, data: DataUsed, conditions: Conditions, runs: Runs
) -> dict[str, Any]:
    """Write every file of the run but the weights, and return the summary."""
    summary = summarise(data, conditions, runs)
    folder.write_json("summary.json", summary)
    rows = [
        {"set_up": key} | row
        for key, some in runs.items()
        for run in some
        for name, outcome in run.outcomes.items()
        for row in epoch_rows(run.seed, name, outcome.history)
    ]
    folder.write_csv("epochs.csv", rows)
    series = {
        key: {name: [run.outcomes[name].history for run in some] for name in ACTIVATIONS}
        for key, some in runs.items()
    }
    mistakes = {
        key: {name: runs[key][0].outcomes[name].mistakes for name in ACTIVATIONS}
        for key in ("as_run", "as_described")
    }
    names = []
    for name, drawn in all_figures(series, published(), mistakes, data.classes):
        folder.write_figure(f"figures/{name}", drawn)
        names.append(name)
    folder.write_text("report.md", report(data, conditions, summary, names))
    folder.write_text("report.html", page(folder.path).html())
    return summary


def report(
    data: DataUsed,
    conditions: Conditions,
    summary: Mapping[str, Any],
    figures: Sequence[str],
) -> str:
    """The report as Markdown, question and verdict first."""
    mistakes = [name for name in figures if name.endswith("mistakes")]
    curves = [name for name in figures if name not in mistakes]
    parts = [
        "# Sigmoid against ReLU on Fashion-MNIST: as run and as described\n",
        _opening(summary),
        "## The claims\n",
        _claims_section(summary),
        "## In all four set-ups\n",
        _reasons_section(summary),
        "## Set-ups\n",
        _set_ups_section(data, conditions, summary),
        "## After the last epoch\n",
        _results_section(summary),
        "## Class by class\n",
        *_class_tables(summary, data),
        "## Mistakes\n",
        "Of each class the first test image that the network takes for another, first seed.\n",
        *map(_picture, mistakes),
        "## Curves\n",
        *map(_picture, curves),
    ]
    return "\n".join(parts)


def _picture(name: str) -> str:
    return f"![{name.replace('_', ' ')}](figures/{name}.png)\n"


def _opening(summary: Mapping[str, Any]) -> str:
    epochs = summary["epochs"]
    run, described = ([one[i] for one in both(summary)] for i in (0, 1))
    accuracy = {
        key: "ReLU {relu:.4f}, sigmoid {sigmoid:.4f}".format(
            **{name: n["test_accuracy"][-1] for name, n in block["networks"].items()}
        )
        for key, block in summary["set_ups"].items()
    }
    study = published(epochs)["as_run"]
    theirs = " and ".join(f"{study[f].test_accuracy[-1]:.4f}" for f in ("relu", "sigmoid"))
    other = f"**{counted(epochs, 'epoch')} instead of the study's {EPOCHS}.**\n\n"
    return ("" if epochs == EPOCHS else other) + (
        "Does ReLU learn Fashion-MNIST better than sigmoid? A published study trained two dense "
        "networks that differ in nothing else and said yes, by 21.6 points. Its text describes "
        "another network and another optimizer than the run that its figures come from.\n\n"
        f"**Of {len(run)} published claims, as run {count(run)}; as described {count(described)}.**"
        f"\n\nTest accuracy after {epochs} epochs: as run {accuracy['as_run']} "
        f"({published_title(epochs, EPOCHS)}: {theirs}); as run, but with Adam, "
        f"{accuracy['as_run_adam']}; as described {accuracy['as_described']}.\n"
    )


def _claims_section(summary: Mapping[str, Any]) -> str:
    theirs = published_title(summary["epochs"], EPOCHS)
    head = ["claim", "criterion", theirs, "as run", "verdict", "as described", "verdict"]
    rows = [
        [
            *(run["claim"], run["criterion"], run["published"]),
            *(run["measured"], f"**{run['verdict']}**"),
            *(described["measured"], f"**{described['verdict']}**"),
        ]
        for run, described in both(summary)
    ]
    return markdown_table(head, rows) + f"\n\n{RULE}\n"


def _reasons_section(summary: Mapping[str, Any]) -> str:
    set_ups = summary["set_ups"]
    titles = [SET_UPS[key].title for key in set_ups]
    by_claim = list(zip(*(block["claims"] for block in set_ups.values()), strict=True))
    rows = [
        [some[0]["claim"], *(f"**{claim['verdict']}** {claim['measured']}" for claim in some)]
        for some in by_claim
    ]
    reasons = [
        f"- **{some[0]['claim']}.** {reason}"
        for some, reason in zip(by_claim, REASONS, strict=True)
        if reason
    ]
    return markdown_table(["claim", *titles], rows) + "\n\n" + "\n".join(reasons) + "\n"


def _set_ups_section(data: DataUsed, conditions: Conditions, summary: Mapping[str, Any]) -> str:
    set_ups = summary["set_ups"]

    def row(name: str, cells: list[Any]) -> list[Any]:
        return [name, *cells]

    split = [
        "pooled, a fifth of each class for the test" if SET_UPS[key].is_pooled else "official"
        for key in set_ups
    ]
    sizes = [f"{b['train_images']:,} / {b['test_images']:,}" for b in set_ups.values()]
    rows = [
        row("network", [block["network"] for block in set_ups.values()]),
        row("optimizer", [block["optimizer"] for block in set_ups.values()]),
        row("batch size", [block["batch_size"] for block in set_ups.values()]),
        row("split", split),
        row("training / test images", sizes),
    ]
    common = [
        ["data", f"{data.title}, pixels / 255"],
        ["weights", "Glorot-uniform, zero biases: the defaults of Keras, which the study used"],
        ["loss", "softmax cross-entropy"],
        ["epochs", summary["epochs"]],
        ["seeds", ", ".join(map(str, summary["seeds"]))],
        *conditions.rows(),
    ]
    return (
        markdown_table(["", *(SET_UPS[key].title for key in set_ups)], rows)
        + "\n\n"
        + markdown_table(["", ""], common)
        + "\n\nAll networks of one seed see the same split and the same batches, and sigmoid and "
        "ReLU start from the same weights. The text gives neither batch size nor epochs; those "
        "are Keras's batch of 32 and the epochs of the run.\n"
    )


def _results_section(summary: Mapping[str, Any]) -> str:
    study = published(summary["epochs"])
    rows = []
    for key, block in summary["set_ups"].items():
        for name in ACTIVATIONS:
            theirs = study.get(key, {}).get(name)
            networks = [run["networks"][name] for run in block["runs"]]
            cells = [
                _mean_and_range([network[what][-1] for network in networks])
                + ("" if theirs is None else f" (published {getattr(theirs, what)[-1]:.4f})")
                for what in ("train_accuracy", "test_accuracy", "train_loss", "test_loss")
            ]
            rows.append([SET_UPS[key].title, name, *cells])
    head = ["set-up", "network", "training accuracy", "test accuracy", "training loss", "test loss"]
    several = len(summary["seeds"]) > 1
    note = "Means over the seeds, smallest to largest. " if several else ""
    epochs = summary["epochs"]
    at = (
        ""
        if epochs == EPOCHS
        else f"The published figures are those of epoch {min(epochs, EPOCHS)}. "
    )
    return (
        markdown_table(head, rows)
        + f"\n\n{note}{at}Training figures are running ones, over the epoch, with dropout on.\n"
    )


def _mean_and_range(values: Sequence[float]) -> str:
    mean = f"{np.mean(values):.4f}"
    return mean if len(values) == 1 else f"{mean}, {min(values):.4f}–{max(values):.4f}"


def _class_tables(summary: Mapping[str, Any], data: DataUsed) -> list[str]:
    """Precision, recall and F1 of each class, published figures in brackets."""
    study = published(summary["epochs"])
    tables = []
    for key, block in summary["set_ups"].items():
        head = ["class"]
        columns: list[list[str]] = []
        for name in ACTIVATIONS:
            ours = block["networks"][name]["classification_report"]
            theirs = study.get(key, {}).get(name)
            known = theirs.by_class if theirs else {}  # after the study's last epoch only
            for score in ("precision", "recall", "f1"):
                head.append(f"{name}: {score}")
                columns.append(
                    [
                        f"{ours[label][score]:.2f}"
                        + (f" ({known[label][score]:.2f})" if known else "")
                        for label in ours
                    ]
                )
        labels = list(ours)
        support = [f"{ours[label]['support']:,.0f}" for label in labels]
        rows = [list(cells) for cells in zip(labels, *columns, support, strict=True)]
        beside = ", published in brackets" if key in study and summary["epochs"] >= EPOCHS else ""
        tables.append(f"Set-up *{SET_UPS[key].title}*{beside}:\n")
        tables.append(markdown_table([*head, "images"], rows) + "\n")
    return tables
