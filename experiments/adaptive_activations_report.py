"""What a run of the study of adaptive activation functions writes: tables, figures, the report."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pair
from adaptive_activations_claims import REASONS
from adaptive_activations_figures import all_figures
from adaptive_activations_page import page
from adaptive_activations_series import PUBLISHED_FILE, Figures, last, published
from adaptive_activations_summary import SET_UPS, Trained, summarise
from adaptive_activations_training import DEPTHS, FULL, FUNCTIONS, HINGES, Size

from minidl.study import (
    Conditions,
    DataUsed,
    RunFolder,
    count,
    markdown_table,
)
from minidl.study.claims import published_title
from minidl.study.histories import epoch_rows
from minidl.study.page import RULE


def write_report(
    folder: RunFolder, data: DataUsed, size: Size, conditions: Conditions, trained: Trained
) -> dict[str, Any]:
    """Write every file of the run, and return the summary."""
    runs = {
        key: [
            Figures.of(outcomes, key, size.test_images, pair.alone(conditions.as_dict()))
            for outcomes in trained.values()
        ]
        for key in SET_UPS
    }
    summary = summarise(data, size, conditions, trained, runs)
    folder.write_json("summary.json", summary)
    rows = [
        {"group": group} | row
        for seed, outcomes in trained.items()
        for (group, name), outcome in outcomes.items()
        for row in epoch_rows(seed, name, outcome.history)
    ]
    folder.write_csv("epochs.csv", rows)
    for name, figure in all_figures(runs, published()):
        folder.write_figure(f"figures/{name}", figure)
    folder.write_text("report.md", report(data, size, conditions, runs, summary))
    folder.write_text("report.html", page(folder.path).html())
    return summary


def report(
    data: DataUsed,
    size: Size,
    conditions: Conditions,
    runs: Mapping[str, Sequence[Figures]],
    summary: Mapping[str, Any],
) -> str:
    """The report as Markdown, question and verdict first."""
    parts = [
        "# Adaptive piecewise linear units on CIFAR-10: as run and as described\n",
        _opening(size, summary, runs),
        "## The claims\n",
        _claims(summary),
        "\n## Number of hinges (table 21)\n",
        _hinges(runs),
        "![number of hinges](figures/hinges.png)\n",
        "## APL, ReLU, leaky ReLU (table 22)\n",
        _functions(runs),
        "![accuracy](figures/functions_accuracy.png)\n",
        "![loss](figures/functions_loss.png)\n",
        "## Learned shapes\n",
        "h(x) = max(0, x) + Σ_s a_s max(0, b_s − x) of the first channel after each convolution, "
        "S = 5. As run the network has no function after its dense layers.\n",
        "![shapes as run](figures/shapes_as_run.png)\n",
        "![shapes as described](figures/shapes_as_described.png)\n",
        "## Depth\n",
        _depths(runs["as_described"]),
        "![depth](figures/depth.png)\n",
        "## Set-up\n",
        _set_up(data, size, conditions, summary),
    ]
    return "\n".join(parts)


def _opening(size: Size, summary: Mapping[str, Any], runs: Mapping[str, Sequence[Figures]]) -> str:
    run, described = summary["claims"].values()
    reduced = (
        ""
        if size == FULL
        else f"**Smaller than the study: {size.train_images:,} of its {FULL.train_images:,} "
        f"training images, {size.test_images:,} test images, {size.dense:,} of its "
        f"{FULL.dense:,} units in a dense layer and as large a share of its channels, "
        f"{size.epochs} epochs.** The accuracies can therefore not be compared with the published "
        "ones; who is ahead of whom can. `--full` is the study's size; it was not run here.\n\n"
    )
    first, final = (_mean([run.hinges[s] for run in runs["as_run"]]) for s in (1, 10))
    new = _mean([run.hinges[10] for run in runs["as_described"]])
    return (
        reduced + "Do activation functions that are learned, h(x) = max(0, x) + Σ_s a_s "
        "max(0, b_s − x), beat ReLU and leaky ReLU, and how many hinges S do they need? A "
        "published study says that they do, and that S matters. Its run differs from its text in "
        "three points: one network was trained on from each S to the next; the ReLU network had "
        "been trained before; ReLU and leaky ReLU, but not APL, also stand after the dense "
        "layers.\n\n"
        f"**Of {len(run)} published claims, as run {count(run)}; as described "
        f"{count(described)}.**\n\nFrom S = 1 to S = 10 the network that is trained on goes from "
        f"{first:.4f} to {final:.4f} on the test images (published, after ten epochs with each S: "
        f"0.6964 to 0.8133). A new network with S = 10 reaches {new:.4f}. In the study the time "
        "trained grows with S.\n"
    )


def _mean(series: Sequence[Any]) -> float:
    return float(np.mean([last(s) for s in series]))


def _claims(summary: Mapping[str, Any]) -> str:
    theirs = published_title(summary["size"]["epochs"], FULL.epochs)
    head = ["claim", "criterion", theirs, "as run", "verdict", "as described", "verdict"]
    rows = [
        [
            *(run["claim"], run["criterion"], run["published"]),
            *(run["measured"], f"**{run['verdict']}**"),
            *(described["measured"], f"**{described['verdict']}**"),
        ]
        for run, described in zip(*summary["claims"].values(), strict=True)
    ]
    reasons = [
        f"- **{claim['claim']}.** {reason}"
        for claim, reason in zip(summary["claims"]["as_run"], REASONS, strict=True)
        if reason
    ]
    table = markdown_table(head, rows)
    rule = f"{RULE} Text and run agree in the last four."
    return "\n".join([table, "", rule, "", *reasons, ""])


def _hinges(runs: Mapping[str, Sequence[Figures]]) -> str:
    study = published()
    epochs = len(runs["as_run"][0].hinges[1].test_accuracy)
    rows = [
        [
            s,
            f"{last(study.hinges[s]):.4f}",
            *(f"{_mean([run.hinges[s] for run in runs['as_run']]):.4f}", epochs * i),
            *(f"{_mean([run.hinges[s] for run in runs['as_described']]):.4f}", epochs),
        ]
        for i, s in enumerate(HINGES, 1)
    ]
    head = ["S", "published", "as run", "epochs so far", "as described", "epochs"]
    return markdown_table(head, rows) + (
        "\n\nTest accuracy after the last epoch. As run the parameters are carried over; hinges "
        "that are added start with a = b = 0, which changes nothing at first, since in the "
        "study's log the loss goes on without a jump (0.864 at the end with S = 1, 0.860 at the "
        "start with S = 2). The optimizer starts anew with each S.\n"
    )


def _functions(runs: Mapping[str, Sequence[Figures]]) -> str:
    study = json.loads(PUBLISHED_FILE.read_text(encoding="utf-8"))["table_22"]["rows"]
    rows = []
    for name, theirs in zip(FUNCTIONS, study.values(), strict=True):
        loss, test_loss, accuracy = theirs.values()
        cells = [f"{loss:.3f}, {test_loss:.3f}, {accuracy / 100:.4f}"]
        for key in SET_UPS:
            some = [run.functions[name] for run in runs[key]]
            first = np.mean([s.train_loss[0] for s in some])
            tested = np.mean([s.test_loss[-1] for s in some])
            cells.append(f"{first:.3f}, {tested:.3f}, {_mean(some):.4f}")
        rows.append([name, *cells])
    return markdown_table(["", "published", *SET_UPS.values()], rows) + (
        "\n\nTraining loss of the first epoch, test loss and test accuracy of the last. As run, "
        "ReLU is shown in the second half of its epochs, leaky ReLU is the network of the other "
        "column, and APL is the new network with S = 5 above. As described, nothing differs but "
        "the function, which all three have after their dense layers, too. The study's table has "
        "60.25% for ReLU where its log ends with 60.75%; the claims are judged on the log.\n"
    )


def _depths(runs: Sequence[Figures]) -> str:
    rows = [
        [d, *(f"{_mean([run.depths[d][name] for run in runs]):.4f}" for name in FUNCTIONS)]
        for d in DEPTHS
    ]
    return markdown_table(["layers", *FUNCTIONS], rows) + (
        "\n\nTest accuracy after the last epoch; convolutions 3×3, the mean of each channel, one "
        "dense layer.\n"
    )


def _set_up(data: DataUsed, size: Size, conditions: Conditions, summary: Mapping[str, Any]) -> str:
    def both(theirs: Any, ours: Any) -> list[Any]:
        return [f"{n:,}" if isinstance(n, int) else n for n in (theirs, ours)]

    compared = [
        ["training images", *both(FULL.train_images, size.train_images)],
        ["test images", *both(FULL.test_images, size.test_images)],
        ["epochs", *both(FULL.epochs, size.epochs)],
        ["batch size", *both(FULL.batch_size, size.batch_size)],
        ["channels", *("-".join(map(str, s.channels)) for s in (FULL, size))],
        ["dense layers", *both(FULL.dense, size.dense)],
        ["channels, networks of 3, 5, 7 layers", *both(FULL.depth_channels, size.depth_channels)],
        ["their images", *(f"{s.depth_side}×{s.depth_side}" for s in (FULL, size))],
    ]
    common = [
        ["data", f"{data.title}, the first images of each part; pixels from −1 to 1"],
        [
            "network",
            "convolution 5×5, function, max pooling 3×3 with stride 2, dropout 0.25; twice the "
            "same with average pooling; two dense layers, each with dropout 0.5; dense layer to 10",
        ],
        ["weights", "He-normal, zero biases; a from U(−1/√S, 1/√S), b = 0"],
        ["optimizer", "Adam, learning rate 0.001, L2 penalty 0.001 on all parameters"],
        ["augmentation", "crop with a border of 4 in 32 pixels, mirror image"],
        ["seeds", ", ".join(map(str, summary["seeds"]))],
        *conditions.rows(),
    ]
    return (
        markdown_table(["", "study", "here"], compared)
        + "\n\n"
        + markdown_table(["", ""], common)
        + "\n\nAll networks of one seed see the same images in the same order. What the study does "
        "not give and is chosen here: the scaling of the pixels, that convolutions are followed by "
        "their function in the networks of 3, 5 and 7 layers, and that these keep the image's "
        "size. PyTorch, which it used, draws other random numbers.\n"
    )
