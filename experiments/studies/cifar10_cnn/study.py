"""Sigmoid against ReLU in a small convolutional network: the declaration, and the report."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minidl.pages import Chart, Table, Told
from minidl.study import Report, Rows, Run, Section, Task, TrainedStudy, Verdicts, Work
from minidl.study.charts import PER_CENT, Group, beside, layer_charts, learning_charts
from minidl.study.claims import published_title
from minidl.study.histories import epoch_rows
from minidl.study.options import from_zero, whole
from minidl.study.pair_study import accuracies
from minidl.study.pairs import ACTIVATIONS
from minidl.study.report import percent, pictures, sentence, set_up_section, shorter
from minidl.study.tables import by_columns, column, counted
from studies.cifar10_cnn.claims import CLAIMS, MORE_ACCURATE, SATURATES, judged, published
from studies.cifar10_cnn.figures import filters, predictions, samples
from studies.cifar10_cnn.plateau import (
    LAYERS,
    first_steps,
    lengths,
    plateau_charts,
    tables,
)
from studies.cifar10_cnn.summary import network_block, plateau_rows, snapshot_rows
from studies.cifar10_cnn.training import (
    BATCH_SIZE,
    CHANCE,
    EPOCHS,
    LEARNING_RATE,
    Cell,
    Outcome,
    cells,
    first_of_each_class,
    run_network,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NETWORK = (
    "Conv2D 3 -> 32, 3×3 (valid), activation; MaxPool2D 2×2; Flatten; Dense 128, activation; "
    "Dense 10; softmax"
)
PICTURES = {
    "classes": "Training images of each class.",
    "predictions": "One test image of each class, and the answers of the two networks.",
    "filters": "Filters of the convolution before training (the same for both networks) and after.",
}


class Cifar10Cnn(TrainedStudy):
    name = "cifar10_cnn"
    about = "Sigmoid against ReLU in a small convolutional network on CIFAR-10, rerun."
    work = Work(
        "Individual Assignment",
        "Tiasa Malitya",
        2025,
        "https://github.com/Tiasa24/ML_tutorial25_5709",
        "Machine Learning and Neural Networks, University of Hertfordshire",
    )
    data = ("cifar-10",)
    seeds = None
    choosing = ("plateau_seeds",)
    kind = Outcome

    def add_options(self, add: Any) -> None:
        add("--epochs", type=whole, default=EPOCHS, help="passes over the training images")
        said = "also train sigmoid with the next N seeds until it leaves chance"
        add("--plateau-seeds", type=from_zero, default=2, metavar="N", help=said)

    def tasks(self, run: Run) -> dict[str, Task[Outcome]]:
        shown = first_of_each_class(run.data[0].test)
        return {
            name: functools.partial(run_network, run, name, cell, shown)
            for name, cell in _cells_of(run).items()
        }

    def summarise(self, run: Run, results: Mapping[str, Outcome]) -> dict[str, Any]:
        test, networks = run.data[0].test, _networks(run, results)
        labels = test.targets[first_of_each_class(test)]
        return {
            **run.data_block(),
            "network": NETWORK,
            "optimizer": f"adam, learning rate {LEARNING_RATE:g}",
            "batch_size": BATCH_SIZE,
            "epochs": run.chosen.epochs,
            "seed": run.chosen.seed,
            "networks": {f: network_block(one, labels) for f, one in networks.items()},
            "chance": CHANCE,
            "plateaus": plateau_rows(_trained(run, results)),
        }

    def judge(self, summary: dict[str, Any], results: Mapping[str, Any]) -> None:
        summary["claims"] = [claim.as_dict() for claim in judged(summary)]

    def tables(self, run: Run, results: Mapping[str, Outcome]) -> dict[str, Rows]:
        trained = _trained(run, results)
        rows = [
            {"learning_rate": cell.learning_rate} | row
            for cell, outcome in trained
            for row in epoch_rows(cell.seed, cell.activation, outcome.history)
        ]
        return {"epochs.csv": rows, "snapshots.csv": snapshot_rows(trained)}

    def figures(self, run: Run, results: Mapping[str, Outcome]) -> Iterator[tuple[str, Figure]]:
        (data,), networks = run.data, _networks(run, results)
        shown = data.test.take(first_of_each_class(data.test))
        yield "classes", samples(data.train, data.classes)
        yield "predictions", predictions(networks, shown, data.classes)
        yield "filters", filters(networks)

    def results(self, summary: Mapping[str, Any]) -> str:
        study = published(summary["epochs"])
        networks = {f: (network, study[f]) for f, network in summary["networks"].items()}
        table = accuracies(networks, published_title(summary["epochs"], EPOCHS))
        return f"{table}\n\n{Verdicts({'': summary['claims']}).text()}"

    # -- the report ------------------------------------------------------------------------------

    def report(self, folder: Path, summary: Mapping[str, Any]) -> Report:
        runs = {name: [block] for name, block in summary["networks"].items()}
        study = {name: vars(series) for name, series in published().items()}
        group, epochs = {"": Group(runs, study)}, summary["epochs"]
        verdicts = Verdicts({"this run": summary["claims"]})
        seed = f"The verdicts are those of seed {summary['seed']}."
        theirs = published_title(epochs, EPOCHS)
        shown: list[Told] = [lengths(summary), *plateau_charts(folder), first_steps(summary)]
        return Report(
            "Sigmoid against ReLU in a small convolutional network on CIFAR-10",
            self.work,
            "Does ReLU learn CIFAR-10 better than sigmoid in a small convolutional network? The "
            "study says yes, by 16.5 points; its sigmoid network stays at chance for four epochs "
            "before it learns.",
            _answer(summary, verdicts),
            [_accuracy(runs, study)],
            verdicts.held(),
            [
                verdicts.section(CLAIMS, seed, theirs),
                Section("Accuracy and loss", [*learning_charts(group), _epochs(summary)]),
                Section("The plateau", [*shown, *tables(summary)]),
                Section("Layer by layer", layer_charts(group, list(LAYERS.values()))),
                Section("Pictures", pictures(folder, PICTURES)),
                set_up_section(_set_up(summary), summary, note=NOTE),
            ],
            shorter(epochs, EPOCHS),
        )


def _cells_of(run: Run) -> dict[str, Cell]:
    return cells(run.chosen.seed, run.chosen.plateau_seeds)


def _trained(run: Run, results: Mapping[str, Outcome]) -> list[tuple[Cell, Outcome]]:
    return [(cell, results[name]) for name, cell in _cells_of(run).items()]


def _networks(run: Run, results: Mapping[str, Outcome]) -> dict[str, Outcome]:
    """The two networks that are compared, by activation."""
    return {f: results[f"{f}-seed-{run.chosen.seed}"] for f in ACTIVATIONS}


def _answer(summary: Mapping[str, Any], verdicts: Verdicts) -> str:
    networks = summary["networks"]
    relu, sigmoid = (percent(networks[n]["test_accuracy"][-1]) for n in ("relu", "sigmoid"))
    last = networks["sigmoid"]["first_steps"][-1]
    flat = f"{percent(last['layers']['dense_1']['flat'])} of the slopes of its hidden dense layer"
    first, gentle = summary["plateaus"][0], summary["plateaus"][-1]
    why = {"yes": "since", "no": "though only"}.get(verdicts.word(SATURATES), "while")
    if first["epochs_at_chance"] == 0:  # what the flat slopes do not explain
        why = "and"
    epochs = counted(summary["epochs"], "epoch")
    return (
        f"{sentence(verdicts.word(MORE_ACCURATE))}: after {epochs}, ReLU recognises {relu} of the "
        f"test images and sigmoid {sigmoid}; sigmoid {_at_chance(first)}, {why} {flat} are flat "
        f"after {last['step']} steps; with a tenth of the learning rate, it "
        f"{_at_chance(gentle)}."
    )


def _at_chance(row: Mapping[str, Any]) -> str:
    """How long a sigmoid network stays at chance."""
    stays = row["epochs_at_chance"]
    if stays is None:
        return f"stays at chance for more than {counted(row['epochs_trained'], 'epoch')}"
    return f"stays at chance for {counted(stays, 'epoch')}" if stays else "is never at chance"


def _accuracy(runs: Mapping[str, Sequence[Any]], study: Mapping[str, Any]) -> Chart:
    series = [
        one
        for name, blocks in runs.items()
        for one in beside(name, "test_accuracy", blocks, study[name])
    ]
    about = "Share of the test images recognised after each epoch; 10% is chance."
    return Chart("Test accuracy", about, "epoch", PER_CENT, series)


def _epochs(summary: Mapping[str, Any]) -> Table:
    study = published()
    columns = {"epoch": [str(epoch) for epoch in range(1, summary["epochs"] + 1)]}
    for name, ours in summary["networks"].items():
        for what in ("train_accuracy", "test_accuracy", "train_loss", "test_loss"):
            title = what.replace("train", "training").replace("_", " ")
            columns[f"{name}: {title}"] = column(ours[what], getattr(study[name], what))
    return by_columns("By epoch, published figures in brackets", columns)


NOTE = (
    "Both networks start from the same weights and see the same batches. The study uses "
    "seed 42, in a framework with a different random number generator."
)


def _set_up(summary: Mapping[str, Any]) -> list[list[str | Told]]:
    sizes = f"{summary['train_images']:,} training and {summary['test_images']:,} test images"
    seeds = ", ".join(str(row["seed"]) for row in summary["plateaus"][1:-1])
    return [
        ["data", f"{summary['dataset_title']}, official split: {sizes}; pixels / 255"],
        ["network", summary["network"]],
        ["weights, loss", "Glorot-uniform, zero biases, as in Keras; softmax cross-entropy"],
        ["optimizer", f"{summary['optimizer']}, β 0.9 and 0.999, ε 1e-7 in Keras's form"],
        ["epochs, batch size", f"{summary['epochs']}, {summary['batch_size']}"],
        ["seed", f"{summary['seed']}; sigmoid until it leaves chance: {seeds or 'no other'}"],
    ]


STUDY = Cifar10Cnn()
