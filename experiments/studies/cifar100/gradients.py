"""The gradients of the hidden layers: the study's figure and tables, and its test."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np

from minidl.pages import Chart, Prose, Series, Table, Told
from minidl.study import PairedTest
from minidl.study.charts import beside
from minidl.study.tables import by_columns, column, p_figure
from studies.cifar100.claims import paired, published


def average(block: Mapping[str, Any]) -> np.ndarray:
    """(epochs,) the mean gradient of the hidden layers."""
    return np.array([np.mean(layers[:-1]) for layers in block["gradients"]["weights"]])


def paired_tests(networks: Mapping[str, Any]) -> dict[str, Any]:
    """The tests under the names of the summary; null if there are too few epochs."""

    def block(a: str, b: str) -> dict[str, Any]:
        found = paired(average(networks[a]), average(networks[b]))
        names = ("statistic", "p_value", "degrees_of_freedom")
        return {name: None if found is None else getattr(found, name) for name in names}

    tests = {f"{a} - {b}": block(a, b) for a, b in itertools.combinations(networks, 2)}
    return {"paired_t_test": next(iter(tests.values())), "paired_t_tests": tests}


# -- what the report says about them ------------------------------------------------------------


def average_gradients(runs: Mapping[str, list[Any]], study: Mapping[str, Any]) -> Chart:
    """The study's figure 8."""
    series: list[Series] = []
    for name, blocks in runs.items():
        ours = [{"average": average(block)} for block in blocks]
        series += beside(name, "average", ours, study.get(name, {}))
    return Chart(
        "Average gradient of the hidden layers",
        "Mean |∂L/∂W| over the hidden layers after each epoch, L summed over 64 training images.",
        *("epoch", "mean |∂L/∂W|", series, ("linear", "log")),
        name="figure8_average_gradients",
    )


def gradient_tables(summary: Mapping[str, Any]) -> list[Told]:
    """Tables 1, 2, …: one for each network, as in the study, published figures in brackets."""
    study, tables = published(), list[Told]()
    for number, (name, network) in enumerate(summary["networks"].items(), 1):
        theirs = study.get(name)
        ours = 1e3 * np.array([layers[:-1] for layers in network["gradients"]["weights"]], float)
        known = np.empty((0, ours.shape[1]))
        if theirs is not None and theirs.gradients.shape[1] == ours.shape[1]:
            known = 1e3 * theirs.gradients
        columns = {"epoch": [str(epoch) for epoch in range(1, len(ours) + 1)]}
        for i in range(ours.shape[1]):
            columns[f"layer {i + 1}"] = column(ours[:, i], known[:, i], 2)
        columns["average"] = column(ours.mean(axis=1), known.mean(axis=1), 2)
        accuracy = () if theirs is None else theirs.train_accuracy
        columns["training accuracy"] = column(network["train_accuracy"], accuracy)
        columns["test accuracy"] = column(network["test_accuracy"])
        beside = ", published in brackets" if theirs is not None else ""
        title = f"Table {number}. {name}: gradients of the hidden layers × 10⁻³{beside}"
        tables.append(by_columns(title, columns))
    return tables


def tested(summary: Mapping[str, Any]) -> list[Told]:
    """The study's test over the epochs, and the one over the seeds."""
    names = list(summary["networks"])[:2]
    runs, seeds = summary.get("runs", [summary]), summary["seeds"]
    averages = [[average(run["networks"][name]) for name in names] for run in runs]
    tests = {
        f"over the epochs of seed {s}": paired(*p) for s, p in zip(seeds, averages, strict=True)
    }
    if len(runs) > 1:
        gradients = [[float(pair[i].mean()) for pair in averages] for i in (0, 1)]
        accuracy = [[run["networks"][n]["test_accuracy"][-1] for run in runs] for n in names]
        tests["gradients over the seeds"] = paired(*gradients)
        tests["test accuracy over the seeds"] = paired(*accuracy)
    head = [" − ".join(names), "t", "df", "p", "difference (95% interval)", "d_z (95% interval)"]
    rows = [[name, *_test_cells(test)] for name, test in tests.items()]
    text = (
        "The test over the epochs is the study's. It treats the epochs of one run as independent "
        "pairs, which they are not: each epoch continues the one before. Its p-value is therefore "
        "far too small to be taken literally; it describes how consistently the two curves differ "
        "in one run. "
    )
    if len(seeds) > 1:
        text += (
            "The test over the seeds compares one figure per network and seed (the mean gradient "
            "over hidden layers and epochs, or the test accuracy after the last epoch). "
            "Seeds are independent, so this test is sound."
        )
    else:
        text += (
            "It takes several seeds to see whether other initial weights give the same result: "
            "`--seeds 5` adds the test over them."
        )
    theirs = "The study's test over its 20 epochs: t = −8.07, p = 1.47e-07, 19 degrees of freedom."
    caption = "Paired t-tests, and Wilcoxon signed-rank tests of the same pairs"
    table = Table(caption, [*head, "Wilcoxon p"], rows)
    return [Prose([theirs]), table, Prose([text])]


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
