"""What a run of the CIFAR-10 study writes: tables, figures and the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cifar10_cnn_claims import REASONS, published
from cifar10_cnn_figures import all_figures
from cifar10_cnn_page import page
from cifar10_cnn_summary import ROW_HEAD, row_of, summarise
from cifar10_cnn_training import CHANCE, EPOCHS, GENTLE, JUDGED, LEARNING_RATE, Outcome, Run

from minidl import Examples
from minidl.study import Conditions, DataUsed, RunFolder, markdown_table
from minidl.study.claims import published_title
from minidl.study.histories import epoch_rows
from minidl.study.page import RULE, held
from minidl.study.tables import counted

CAPTIONS = {
    "accuracy": "Dashed: published.",
    "loss": "Dashed: published.",
    "classes": "",
    "predictions": "✓ and → with the answer's own probability.",
    "filters": "Both networks start from the same weights. One scale for all.",
    "gradients": "At each look, 64 training images.",
    "flat": "A slope f'(z) is flat below 1% of the function's steepest; for ReLU, where z ≤ 0.",
    "first_steps": "The horizontal axis is logarithmic from step 1.",
    "plateau": "Each sigmoid network; what leaves the bottom has left the plateau.",
}


def write_report(
    folder: RunFolder,
    data: DataUsed,
    conditions: Conditions,
    run: Run,
    shown: Examples,
    train: Examples,
) -> dict[str, Any]:
    """Write every file of the run but the weights, and return the summary.

    ``shown`` are the test images that both networks are asked about.
    """
    summary = summarise(data, conditions, run, shown.targets)
    folder.write_json("summary.json", summary)
    trainings = trainings_of(run)
    rows = [
        {"learning_rate": rate} | row
        for seed, name, rate, outcome in trainings
        for row in epoch_rows(seed, name, outcome.history)
    ]
    folder.write_csv("epochs.csv", rows)
    folder.write_csv("looks.csv", look_rows(trainings))
    names = []
    for name, drawn in all_figures(run, published(), train, shown, data.classes):
        folder.write_figure(f"figures/{name}", drawn)
        names.append(name)
    folder.write_text("report.md", report(data, conditions, summary, names))
    folder.write_text("report.html", page(folder.path).html())
    return summary


def trainings_of(run: Run) -> list[tuple[int, str, float, Outcome]]:
    """Seed, activation, learning rate and outcome of all networks."""
    found = [(run.seed, name, LEARNING_RATE, outcome) for name, outcome in run.networks.items()]
    found += [(seed, "sigmoid", LEARNING_RATE, outcome) for seed, outcome in run.others.items()]
    return [*found, (run.seed, "sigmoid", GENTLE, run.gentle)]


def look_rows(trainings: Sequence[tuple[int, str, float, Outcome]]) -> list[dict[str, Any]]:
    """One row for each look and layer."""
    return [
        {
            "seed": seed,
            "network": name,
            "learning_rate": rate,
            "epoch": look.epoch,
            "step": look.step,
            "accuracy": look.accuracy,
            "layer": layer,
            **vars(figures),
        }
        for seed, name, rate, outcome in trainings
        for look in outcome.looks
        for layer, figures in look.layers.items()
    ]


def report(
    data: DataUsed,
    conditions: Conditions,
    summary: Mapping[str, Any],
    figures: Sequence[str],
) -> str:
    """The report as Markdown, question and verdict first."""

    def pictures(*names: str) -> list[str]:
        return [
            f"![{name.replace('_', ' ')}](figures/{name}.png)\n\n{CAPTIONS[name]}\n".rstrip() + "\n"
            for name in names
            if name in figures
        ]

    parts = [
        "# Sigmoid against ReLU in a small convolutional network on CIFAR-10\n",
        _opening(summary),
        "## The claims\n",
        _claims_section(summary),
        "## By epoch\n",
        _epochs_section(summary),
        *pictures("accuracy", "loss"),
        "## The plateau\n",
        _plateau_section(summary),
        *pictures("plateau", "first_steps", "gradients", "flat"),
        "## Set-up\n",
        _set_up_section(data, conditions, summary),
        "## Pictures\n",
        *pictures("classes", "predictions", "filters"),
    ]
    return "\n".join(parts)


def _opening(summary: Mapping[str, Any]) -> str:
    networks, epochs = summary["networks"], summary["epochs"]
    accuracy = {name: network["test_accuracy"][-1] for name, network in networks.items()}
    study = published(epochs)
    theirs = " and ".join(f"{study[f].test_accuracy[-1]:.4f}" for f in ("relu", "sigmoid"))
    other = f"**{counted(epochs, 'epoch')} instead of the study's {EPOCHS}.**\n\n"
    as_run, *others, gentle = summary["plateaus"]
    lasted = ", ".join(_lasted(row) for row in [as_run, *others])
    last = networks["sigmoid"]["first_steps"][-1]
    return ("" if epochs == EPOCHS else other) + (
        "Does ReLU learn CIFAR-10 better than sigmoid in a small convolutional network? A "
        "published study trained two networks that differ in nothing else and said yes, by 16.5 "
        "points. Its sigmoid network answers at random for four epochs before it begins to "
        f"learn. Why?\n\n**{held(summary['claims'])}.**\n\n"
        f"Test accuracy after {epochs} epochs: ReLU {accuracy['relu']:.4f}, sigmoid "
        f"{accuracy['sigmoid']:.4f} ({published_title(epochs, EPOCHS)}: {theirs}). Epochs at "
        f"chance, by seed: {lasted} (published 4); with a learning rate of {GENTLE:g} in the "
        f"place of {LEARNING_RATE:g}: {_lasted(gentle)}. After {last['step']} steps of Adam "
        f"{last['layers']['dense_1']['flat']:.1%} of the slopes of sigmoid's dense hidden layer "
        "are flat: see [the plateau](#the-plateau).\n"
    )


def _lasted(row: Mapping[str, Any]) -> str:
    lasted = row["epochs_at_chance"]
    return f"more than {row['epochs_trained']}" if lasted is None else str(lasted)


def _claims_section(summary: Mapping[str, Any]) -> str:
    theirs = published_title(summary["epochs"], EPOCHS)
    rows = [
        [
            *(claim["claim"], claim["criterion"], claim["published"], claim["measured"]),
            f"**{claim['verdict']}**",
        ]
        for claim in summary["claims"]
    ]
    reasons = [
        f"- **{claim['claim']}.** {reason}"
        for claim, reason in zip(summary["claims"], REASONS, strict=True)
        if reason
    ]
    table = markdown_table(["claim", "criterion", theirs, "ours", "verdict"], rows)
    seed = f"The verdict is that of ours, seed {summary['seed']}."
    return "\n".join([table, "", f"{RULE} {seed}", "", *reasons, ""])


def _epochs_section(summary: Mapping[str, Any]) -> str:
    study = published()
    head = ["epoch"]
    columns: list[list[str]] = []
    for name, ours in summary["networks"].items():
        for what in ("train_accuracy", "test_accuracy", "train_loss", "test_loss"):
            head.append(f"{name}: {what.replace('train', 'training').replace('_', ' ')}")
            theirs = list(getattr(study[name], what))
            columns.append(
                [
                    f"{value:.4f}" + (f" ({theirs[epoch]:.4f})" if epoch < len(theirs) else "")
                    for epoch, value in enumerate(ours[what])
                ]
            )
    rows = [[str(i + 1), *cells] for i, cells in enumerate(zip(*columns, strict=True))]
    return (
        "Published figures in brackets. Training figures are running ones, over the epoch.\n\n"
        + markdown_table(head, rows)
        + "\n"
    )


def _plateau_section(summary: Mapping[str, Any]) -> str:
    return "\n".join(
        [
            f"Epochs at chance: those before the first one whose test accuracy is above "
            f"{CHANCE:.0%}.\n",
            _lengths(summary),
            "Both networks after their first steps, and on the way:\n",
            _first_steps(summary),
            _LEGEND,
            "The two looks between which the plateau ends, an eighth of an epoch apart: the last "
            f"one at which the accuracy on {JUDGED:,} test images is not above "
            f"{1.5 * CHANCE:.1%}, and the next.\n",
            _ends(summary),
            "The criterion of the claim on saturation was written after a first trial with seed 0 "
            "had been seen.\n",
        ]
    )


def _lengths(summary: Mapping[str, Any]) -> str:
    rows = [
        [row["seed"], f"{row['learning_rate']:g}", _lasted(row), row["epochs_trained"]]
        + [f"{row['last_test_accuracy']:.4f}"]
        for row in summary["plateaus"]
    ]
    rows = [["published (42)", f"{LEARNING_RATE:g}", "4", "10", "0.4672"], *rows]
    head = ["seed", "learning rate", "epochs at chance", "epochs trained", "last test accuracy"]
    return markdown_table(head, rows) + "\n"


def _first_steps(summary: Mapping[str, Any]) -> str:
    rows = [
        [name, f"step {look['step']}", *row_of(look)]
        for name, block in summary["networks"].items()
        for look in block["first_steps"]
    ] + [
        [name, f"epoch {look['epoch']:.0f}", *row_of(look)]
        for name, block in summary["networks"].items()
        for look in block["whole_epochs"]
    ]
    return markdown_table(["network", "after", *ROW_HEAD], rows) + "\n"


def _ends(summary: Mapping[str, Any]) -> str:
    rows = [
        [
            f"seed {row['seed']}, learning rate {row['learning_rate']:g}",
            f"{look['epoch']:.3f}",
            f"{look['accuracy']:.3f}",
            *row_of(look),
        ]
        for row in summary["plateaus"]
        if row["moment"] is not None
        for look in (row["moment"]["before"], row["moment"]["after"])
    ]
    if not rows:
        return "In none of them it ends.\n"
    return markdown_table(["network", "epoch", "test accuracy", *ROW_HEAD], rows) + "\n"


_LEGEND = (
    "dW: mean |∂L/∂W| of each layer, the loss summed over 64 training images. Of the dense hidden "
    "layer: |z|, mean size of its pre-activations; flat, share of slopes f'(z) below 1% of the "
    "steepest; one sign, Σ_j |Σ_i ∂L/∂W_ij| / Σ_ij |∂L/∂W_ij|, which is 1 where the weights of "
    "each unit have gradients of one sign; spread, standard deviation of its outputs over the "
    "images, mean over the units.\n"
)


def _set_up_section(data: DataUsed, conditions: Conditions, summary: Mapping[str, Any]) -> str:
    seeds = ", ".join(str(row["seed"]) for row in summary["plateaus"][1:-1])
    rows = [
        ["data", f"{data.title}, pixels / 255, official split"],
        ["training / test images", f"{data.train_images:,} / {data.test_images:,}"],
        ["network", summary["network"]],
        ["weights", "Glorot-uniform, zero biases: the defaults of Keras, which the study used"],
        ["loss", "softmax cross-entropy"],
        ["optimizer", f"{summary['optimizer']}, β 0.9 and 0.999, ε 1e-7 in Keras's form"],
        ["batch size", summary["batch_size"]],
        ["epochs", summary["epochs"]],
        ["seed", f"{summary['seed']}; sigmoid until it moves: {seeds or 'no other'}"],
        *conditions.rows(),
    ]
    return (
        markdown_table(["", ""], rows)
        + "\n\nBoth networks start from the same weights and see the same batches. The study's "
        "seed is 42, in a framework whose random numbers are other ones.\n"
    )
