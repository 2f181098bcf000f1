"""What a run of the CIFAR-100 study writes: summary, tables, figures and the report."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from cifar100_claims import EPOCHS, REASONS, judged, published, series_of
from cifar100_figures import all_figures
from cifar100_page import departures, page
from cifar100_units import Trained, explained, unit_rows, units_head

from minidl.study import (
    Conditions,
    DataUsed,
    PairedTest,
    RunFolder,
    markdown_table,
    paired_test,
    text_table,
)
from minidl.study.claims import published_title
from minidl.study.histories import by_epoch, by_layer, epoch_rows, mean_of
from minidl.study.markup import plain
from minidl.study.page import RULE, held
from minidl.study.recording import History
from minidl.study.tables import counted, figure, p_figure


@dataclass(frozen=True)
class SetUp:
    """What was run, and with what."""

    data: DataUsed
    epochs: int
    batch_size: int
    hidden: list[int]
    optimizer: str
    conditions: Conditions


@dataclass(frozen=True)
class Run:
    """All networks of one seed."""

    seed: int
    trained: dict[str, Trained]  # by activation

    def histories(self) -> dict[str, History]:
        return {name: trained.history for name, trained in self.trained.items()}

    def block(self) -> dict[str, Any]:
        """This seed's part of the summary."""
        networks = {
            name: by_epoch(t.history) | by_layer(t.history) | {"all_images": t.all_images._asdict()}
            for name, t in self.trained.items()
        }
        averages = {name: _average(block) for name, block in networks.items()}
        tests = {
            f"{a} - {b}": _paired(averages[a], averages[b])
            for a, b in itertools.combinations(averages, 2)
        }
        return {
            "seed": self.seed,
            "networks": networks,
            "paired_t_test": _test_block(next(iter(tests.values()))),
            "paired_t_tests": {pair: _test_block(test) for pair, test in tests.items()},
        }


def _average(block: Mapping[str, Any]) -> np.ndarray:
    """(epochs,) the mean gradient of the hidden layers."""
    return np.array([np.mean(layers[:-1]) for layers in block["gradients"]["weights"]])


def _paired(a: np.ndarray | list[float], b: np.ndarray | list[float]) -> PairedTest | None:
    """None as well where there is a number that is none."""
    return paired_test(a, b) if np.isfinite([*a, *b]).all() else None


def _test_block(test: PairedTest | None) -> dict[str, Any]:
    """The test under the names of the summary; null where there are too few epochs."""
    return {
        "statistic": test and test.statistic,
        "p_value": test and test.p_value,
        "degrees_of_freedom": test and test.degrees_of_freedom,
    }


def summarise(set_up: SetUp, runs: Sequence[Run]) -> dict[str, Any]:
    """``summary.json``: with several seeds the top level holds means and ``runs`` each seed."""
    blocks = [run.block() for run in runs]
    networks = {
        name: mean_of([block["networks"][name] for block in blocks]) for name in runs[0].trained
    }
    averages = [_average(block) for block in list(networks.values())[:2]]
    summary = {
        "dataset": set_up.data.name,
        "dataset_title": set_up.data.title,
        "train_images": set_up.data.train_images,
        "test_images": set_up.data.test_images,
        "epochs": set_up.epochs,
        "batch_size": set_up.batch_size,
        "hidden": set_up.hidden,
        "optimizer": set_up.optimizer,
        "seeds": [run.seed for run in runs],
        **set_up.conditions.as_dict(),
        "networks": networks,
        "paired_t_test": _test_block(_paired(*averages)),
    }
    if len(runs) > 1:
        summary["runs"] = blocks
    else:
        summary["paired_t_tests"] = blocks[0]["paired_t_tests"]
    return summary | {"claims": [claim.as_dict() for claim in judged(summary)]}


def claims_table(summary: dict[str, Any]) -> str:
    """Ours beside published, for the terminal."""
    study = published(summary["epochs"])
    rows = []
    for name, network in summary["networks"].items():
        theirs = study.get(name)
        rows.append(
            [
                name,
                figure(network["train_accuracy"][-1]),
                figure(None if theirs is None else float(theirs.accuracy[-1])),
                figure(network["test_accuracy"][-1]),
                figure(float(_average(network)[-1])),
                figure(None if theirs is None else float(theirs.average[-1])),
            ]
        )
    theirs_at = published_title(summary["epochs"], EPOCHS)
    head = ["network", "training accuracy", theirs_at, "test accuracy", "gradient", theirs_at]
    lines = ["", text_table(head, rows), ""]
    for claim in summary["claims"]:
        lines.append(f"{claim['verdict']:<13} {claim['claim']}: {claim['measured']}")
    return "\n".join([*lines, ""])


def write_report(folder: RunFolder, set_up: SetUp, runs: Sequence[Run]) -> dict[str, Any]:
    """Write every file of the run but the weights, and return the summary."""
    summary = summarise(set_up, runs)
    folder.write_json("summary.json", summary)
    rows = [epoch_rows(run.seed, *item) for run in runs for item in run.histories().items()]
    folder.write_csv("epochs.csv", list(itertools.chain.from_iterable(rows)))
    folder.write_csv("gradients.csv", _gradient_rows(runs))
    by_seed = series_of(summary)
    by_activation = {name: [run[name] for run in by_seed] for name in by_seed[0]}
    note = f"\n{set_up.data.title}" if set_up.data.is_stand_in else ""
    names = []
    for name, drawn in all_figures(by_activation, published(), note):
        folder.write_figure(f"figures/{name}", drawn)
        names.append(name)
    folder.write_text("report.md", report(set_up, summary, names))
    folder.write_text("report.html", page(folder.path).html())
    return summary


def _gradient_rows(runs: Sequence[Run]) -> list[dict[str, Any]]:
    rows = []
    for run in runs:
        for name, history in run.histories().items():
            for epoch, probe in enumerate(history.probes, 1):
                units = {unit.layer: unit for unit in probe.units}
                for gradient in probe.gradients:
                    unit = units[gradient.layer]
                    rows.append(
                        {"seed": run.seed, "epoch": epoch, "network": name}
                        | asdict(gradient)
                        | {"dead": unit.dead, "saturated": unit.saturated}
                    )
    return rows


# -- report.md ---------------------------------------------------------------------------------


def report(set_up: SetUp, summary: dict[str, Any], figures: Sequence[str]) -> str:
    """The report as Markdown, question and verdict first."""
    parts = [
        "# Sigmoid against ReLU: a dense network and its gradients\n",
        _opening(set_up, summary),
        "## The claims\n",
        _claims_section(summary),
        *_units_section(summary),
        "## Set-up\n",
        _set_up_section(set_up, summary),
        "## Tables\n",
        *_training_tables(summary),
        "## Does the difference of the gradients mean anything?\n",
        _test_section(summary),
        "## Figures\n",
        *(f"![{name.replace('_', ' ')}](figures/{name}.png)\n" for name in figures),
    ]
    return "\n".join(parts)


def _opening(set_up: SetUp, summary: dict[str, Any]) -> str:
    lines = []
    if set_up.data.is_stand_in:
        note = f" {plain(set_up.data.note)}" if set_up.data.note else ""
        lines.append(
            f"**Not CIFAR-100.** This run used the {set_up.data.title}.{note} "
            "What it shows says nothing about the published figures.\n"
        )
    lines.append(
        "Does ReLU limit the vanishing gradient, and does it learn CIFAR-100 better than sigmoid? "
        "A published study trained two networks that differ in nothing else and said yes to both.\n"
    )
    if summary["claims"]:
        lines.append(f"**{held(summary['claims'])}.**\n")
    else:
        lines.append("**The claims are about sigmoid and ReLU, which were not both trained.**\n")
    accuracy = [
        f"{name} {n['train_accuracy'][-1]:.4f} on the training images (running), "
        f"{n['test_accuracy'][-1]:.4f} on the test images"
        for name, n in summary["networks"].items()
    ]
    lines.append(f"After {counted(set_up.epochs, 'epoch')}: " + "; ".join(accuracy) + ".\n")
    return "\n".join(lines)


def _claims_section(summary: dict[str, Any]) -> str:
    rows = [
        [c["claim"], c["criterion"], c["published"], c["measured"], f"**{c['verdict']}**"]
        for c in summary["claims"]
    ]
    theirs = published_title(summary["epochs"], EPOCHS)
    reasons = [
        f"- **{c['claim']}.** {reason}"
        for c, reason in zip(summary["claims"], REASONS, strict=False)
        if reason
    ]
    table = markdown_table(["claim", "criterion", theirs, "measured", "verdict"], rows)
    return "\n".join([table, "", RULE, "", *reasons, ""])


def _units_section(summary: dict[str, Any]) -> list[str]:
    rows = unit_rows(summary)
    if not rows:
        return []
    head = units_head(summary)
    return ["## Dead units\n", explained(summary) + "\n", markdown_table(head, rows) + "\n"]


def _set_up_section(set_up: SetUp, summary: dict[str, Any]) -> str:
    sizes = (set_up.data.inputs, *set_up.hidden, len(set_up.data.classes))
    network = "-".join(map(str, sizes))
    rows = [
        ["data", f"{set_up.data.title}, {set_up.data.train_images:,} training images"],
        ["network", f"{network}, softmax cross-entropy, Glorot-uniform weights, zero biases"],
        ["hidden layers", ", ".join(summary["networks"])],
        ["optimizer", set_up.optimizer],
        ["epochs, batch size", f"{set_up.epochs}, {set_up.batch_size}"],
        ["seeds", ", ".join(map(str, summary["seeds"]))],
        ["gradients", "after each epoch, of the loss summed over the first 64 training images"],
        *set_up.conditions.rows(),
    ]
    differs = "; ".join(departures(summary)) or "nothing in the table above"
    return (
        markdown_table(["", ""], rows)
        + f"\n\nDifferent from the published set-up: {differs}.\n"
        + "The networks of one seed start from the same weights and see the same batches.\n"
    )


def _training_tables(summary: dict[str, Any]) -> list[str]:
    """Tables 1, 2, …: one for each network, as in the study, published figures in brackets."""
    study = published()
    tables = []
    for number, (name, network) in enumerate(summary["networks"].items(), 1):
        weights = network["gradients"]["weights"]
        layers = len(weights[0]) - 1
        theirs = study.get(name)
        head = ["epoch", *(f"layer {i + 1}" for i in range(layers)), "average", "training accuracy"]
        rows = []
        for epoch, gradients in enumerate(weights):
            ours = [*gradients[:-1], float(np.mean(gradients[:-1]))]
            cells = [f"{1e3 * g:.2f}" for g in ours] + [f"{network['train_accuracy'][epoch]:.4f}"]
            if theirs is not None and epoch < len(theirs.accuracy):
                other = [*theirs.gradients[epoch], theirs.average[epoch]]
                if len(other) == len(ours):
                    cells[:-1] = [
                        f"{cell} ({1e3 * g:.2f})" for cell, g in zip(cells[:-1], other, strict=True)
                    ]
                cells[-1] += f" ({theirs.accuracy[epoch]:.4f})"
            rows.append([epoch + 1, *cells, f"{network['test_accuracy'][epoch]:.4f}"])
        beside = ", published in brackets" if theirs is not None else ""
        tables.append(f"Table {number}. {name}: gradients of the hidden layers × 10⁻³{beside}\n")
        tables.append(markdown_table([*head, "test accuracy"], rows) + "\n")
    return tables


def _test_section(summary: dict[str, Any]) -> str:
    first, second = list(summary["networks"])[:2]
    runs = summary.get("runs", [summary])
    seeds = summary["seeds"]
    averages = [[_average(run["networks"][name]) for name in (first, second)] for run in runs]
    rows = [
        [f"over the epochs of seed {seed}", *_test_cells(_paired(*pair))]
        for seed, pair in zip(seeds, averages, strict=True)
    ]
    if len(runs) > 1:
        gradients = [[float(pair[i].mean()) for pair in averages] for i in (0, 1)]
        accuracy = [
            [run["networks"][name]["test_accuracy"][-1] for run in runs] for name in (first, second)
        ]
        rows.append(["gradients over the seeds", *_test_cells(_paired(*gradients))])
        rows.append(["test accuracy over the seeds", *_test_cells(_paired(*accuracy))])
    head = [
        f"{first} − {second}",
        "t",
        "df",
        "p",
        "difference (95% interval)",
        "d_z (95% interval)",
        "Wilcoxon p",
    ]
    text = (
        "The study, over its 20 epochs: t = −8.07, p = 1.47e-07, 19 degrees of freedom.\n\n"
        + markdown_table(head, rows)
        + "\n\nThe test over the epochs is the study's. It takes the epochs of one run for "
        "independent pairs, which they are not: they follow one another. Its p-value is "
        "therefore far too small to be taken at its word; it describes how regularly the two "
        "curves lie apart in one run. "
    )
    if len(seeds) > 1:
        text += (
            "The test over the seeds compares one figure per network and seed (the mean over "
            "hidden layers and epochs; the accuracy on the test images after the last epoch). "
            "Seeds are independent, so this test is sound.\n"
        )
    else:
        text += (
            "Whether another start would give the same takes several seeds: `--seeds 5` adds "
            "the test across them.\n"
        )
    return text


def _test_cells(test: PairedTest | None) -> list[str]:
    if test is None:
        return ["nothing to test", *["–"] * 5]
    low, high = test.interval
    small, large = test.effect_interval
    return [
        f"{test.statistic:.2f}",
        str(test.degrees_of_freedom),
        p_figure(test.p_value),
        f"{test.mean_difference:.4f} ({low:.4f} to {high:.4f})",
        f"{test.effect_size:.2f} ({small:.2f} to {large:.2f})",
        p_figure(test.wilcoxon_p_value),
    ]
