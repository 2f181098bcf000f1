"""Sigmoid against ReLU in a small convolutional network: what is declared, and the report."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minidl.pages import Chart, Prose, Series, Table, Told, in_order
from minidl.pages.colours import APART
from minidl.study import Report, Rows, Run, Section, Task, TrainedStudy, Work, text_table
from minidl.study.charts import PER_CENT, Group, beside, layer_charts, learning_charts
from minidl.study.claims import FAILS, HOLDS, published_title
from minidl.study.histories import epoch_rows
from minidl.study.options import from_zero, whole
from minidl.study.report import (
    claims_section,
    held,
    percent,
    pictures,
    read_rows,
    sentence,
    set_up_section,
    shorter,
    word,
)
from minidl.study.tables import counted, figure, text_list
from studies.cifar10_cnn.claims import CLAIMS, MORE_ACCURATE, SATURATES, judged, published
from studies.cifar10_cnn.figures import filters, predictions, samples
from studies.cifar10_cnn.summary import look_rows, network_block, plateau_rows
from studies.cifar10_cnn.training import (
    ACTIVATIONS,
    BATCH_SIZE,
    CHANCE,
    EPOCHS,
    GENTLE,
    JUDGED,
    LEARNING_RATE,
    Outcome,
    Trained,
    first_of_each_class,
    run_network,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NETWORK = (
    "Conv2D 3 -> 32, 3×3 (valid), activation; MaxPool2D 2×2; Flatten; Dense 128, activation; "
    "Dense 10; softmax"
)
LAYERS = {"conv2d_1": "convolution", "dense_1": "dense, hidden", "dense_2": "dense, output"}
FIGURES = {
    "flat": "flat slopes",
    "size": "mean |z|",
    "gradient": "mean |∂L/∂W|",
    "spread": "spread of the outputs",
}
PICTURES = {
    "classes": "Training images of each class.",
    "predictions": "One test image of each class, and what the two networks take it for.",
    "filters": "Filters of the convolution before and after; both networks start from the same.",
}
ROW_HEAD = ["dW conv", "dW dense 1", "dW dense 2", "|z|", "flat", "one sign", "spread"]
THEIR_PLATEAU = ["published, seed 42, learning rate 0.001", "4", "10", "46.7%"]


class Cifar10Cnn(TrainedStudy):
    name = "cifar10_cnn"
    about = "Sigmoid against ReLU in a small convolutional network on CIFAR-10, run again."
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
        said = "train sigmoid with the next N seeds, too, until it moves"
        add("--plateau-seeds", type=from_zero, default=2, metavar="N", help=said)

    def tasks(self, run: Run) -> dict[str, Task[Outcome]]:
        shown, seed = first_of_each_class(run.data[0].test), run.chosen.seed

        def task(name: str, f: str, seed: int, **more: Any) -> dict[str, Task[Outcome]]:
            return {name: functools.partial(run_network, run, name, f, seed, shown, **more)}

        tasks: dict[str, Task[Outcome]] = {}
        for f in ACTIVATIONS:
            tasks |= task(f"{f}-seed-{seed}", f, seed)
        tasks |= task("sigmoid-gentle", "sigmoid", seed, learning_rate=GENTLE, until_it_moves=True)
        for other in _others(run):
            tasks |= task(f"sigmoid-seed-{other}", "sigmoid", other, until_it_moves=True)
        return tasks

    def summarise(self, run: Run, results: Mapping[str, Outcome]) -> dict[str, Any]:
        trained, test = _trained(run, results), run.data[0].test
        labels = test.targets[first_of_each_class(test)]
        return {
            **run.data_block(),
            "network": NETWORK,
            "optimizer": f"adam, learning rate {LEARNING_RATE:g}",
            "batch_size": BATCH_SIZE,
            "epochs": run.chosen.epochs,
            "seed": run.chosen.seed,
            "networks": {f: network_block(one, labels) for f, one in trained.networks.items()},
            "chance": CHANCE,
            "plateaus": plateau_rows(trained),
        }

    def judge(self, summary: dict[str, Any], results: Mapping[str, Any]) -> None:
        summary["claims"] = [claim.as_dict() for claim in judged(summary)]

    def tables(self, run: Run, results: Mapping[str, Outcome]) -> dict[str, Rows]:
        trained = _trained(run, results)
        rows = [
            {"learning_rate": rate} | row
            for seed, name, rate, outcome in trained.all()
            for row in epoch_rows(seed, name, outcome.history)
        ]
        return {"epochs.csv": rows, "looks.csv": look_rows(trained)}

    def figures(self, run: Run, results: Mapping[str, Outcome]) -> Iterator[tuple[str, Figure]]:
        (data,), networks = run.data, _trained(run, results).networks
        shown = data.test.take(first_of_each_class(data.test))
        yield "classes", samples(data.train, data.classes)
        yield "predictions", predictions(networks, shown, data.classes)
        yield "filters", filters(networks)

    def results(self, summary: Mapping[str, Any]) -> str:
        study = published(summary["epochs"])
        rows = []
        for name, network in summary["networks"].items():
            row = [name]
            for what in ("train_accuracy", "test_accuracy"):
                theirs = float(getattr(study[name], what)[-1])
                row += [figure(network[what][-1]), figure(theirs)]
            rows.append(row)
        at = published_title(summary["epochs"], EPOCHS)
        table = text_table(["network", "training accuracy", at, "test accuracy", at], rows)
        claims = text_list([[c["verdict"], c["claim"]] for c in summary["claims"]])
        return f"{table}\n\n{claims}"

    # -- the report ------------------------------------------------------------------------------

    def report(self, folder: Path, summary: Mapping[str, Any]) -> Report:
        runs = {name: [block] for name, block in summary["networks"].items()}
        study = {name: vars(series) for name, series in published().items()}
        group, epochs = {"": Group(runs, study)}, summary["epochs"]
        seed = f"The verdict is that of seed {summary['seed']}."
        theirs = published_title(epochs, EPOCHS)
        plateau: list[Told] = [_lengths(summary), *_plateau_charts(folder), _first_steps(summary)]
        return Report(
            "Sigmoid against ReLU in a small convolutional network on CIFAR-10",
            self.work,
            "Does ReLU learn CIFAR-10 better than sigmoid in a small convolutional network? The "
            "study said yes, by 16.5 points; its sigmoid network answers at random for four epochs "
            "before it learns.",
            _answer(summary),
            [_accuracy(runs, study)],
            held(summary["claims"]),
            [
                claims_section({"this run": summary["claims"]}, CLAIMS, seed, theirs),
                Section("Accuracy and loss", [*learning_charts(group), _epochs(summary)]),
                Section("The plateau", [*plateau, *_tables(summary)]),
                Section("Layer by layer", layer_charts(group, list(LAYERS.values()))),
                Section("Pictures", pictures(folder, PICTURES)),
                set_up_section(_set_up(summary), summary, note=NOTE),
            ],
            shorter(epochs, EPOCHS),
        )


def _others(run: Run) -> range:
    """The seeds with which sigmoid is trained again."""
    return range(run.chosen.seed + 1, run.chosen.seed + 1 + run.chosen.plateau_seeds)


def _trained(run: Run, results: Mapping[str, Outcome]) -> Trained:
    networks = {f: results[f"{f}-seed-{run.chosen.seed}"] for f in ACTIVATIONS}
    others = {seed: results[f"sigmoid-seed-{seed}"] for seed in _others(run)}
    return Trained(run.chosen.seed, networks, others, results["sigmoid-gentle"])


def _answer(summary: Mapping[str, Any]) -> str:
    networks, claims = summary["networks"], summary["claims"]
    relu, sigmoid = (percent(networks[n]["test_accuracy"][-1]) for n in ("relu", "sigmoid"))
    last = networks["sigmoid"]["first_steps"][-1]
    flat = f"{percent(last['layers']['dense_1']['flat'])} of the slopes of its hidden dense layer"
    judged = {c["claim"]: c["verdict"] for c in claims}[SATURATES]
    told = {HOLDS: f"since {flat} are flat", FAILS: f"though only {flat} are flat"}
    gentle = f"with a tenth of the learning rate for {_lasted(summary['plateaus'][-1])}"
    epochs = counted(summary["epochs"], "epoch")
    return (
        f"{sentence(word(claims, MORE_ACCURATE))}: after {epochs} ReLU recognises {relu} of the "
        f"test images and sigmoid {sigmoid}, which stays at chance for "
        f"{_lasted(summary['plateaus'][0])} epochs, {told.get(judged, f'while {flat} are flat')} "
        f"after {last['step']} steps; {gentle}."
    )


def _lasted(row: Mapping[str, Any]) -> str:
    lasted = row["epochs_at_chance"]
    return f"more than {row['epochs_trained']}" if lasted is None else str(lasted)


def _accuracy(runs: Mapping[str, Sequence[Any]], study: Mapping[str, Any]) -> Chart:
    series = [
        one
        for name, blocks in runs.items()
        for one in beside(name, "test_accuracy", blocks, study[name])
    ]
    about = "Test images that are recognised after each epoch; 10% is chance."
    return Chart("Test accuracy", about, "epoch", PER_CENT, series)


def _first_steps(summary: Mapping[str, Any]) -> Chart:
    series = []
    for shown, title in FIGURES.items():
        for name, block in summary["networks"].items():
            steps = [str(look["step"]) for look in block["first_steps"]]
            for i, (layer, label) in enumerate(LAYERS.items()):
                y = [look["layers"][layer][shown] for look in block["first_steps"]]
                style: dict[str, Any] = {"panel": name, "where": {"shown": title}}
                style |= in_order(i, len(LAYERS))
                series.append(Series(label, steps, y, **style))
    about = (
        "On 64 training images. Flat slopes: share of f'(z) below 1% of the steepest. Spread: "
        "standard deviation of a unit's outputs over the images, in the mean. L is the summed loss."
    )
    return Chart("The first steps of Adam", about, "step", "", series, ("linear", "log"))


def _plateau_charts(folder: Path) -> list[Chart]:
    """Every sigmoid network at each look, where the folder has them all."""
    networks: dict[tuple[str, str], dict[str, list[dict[str, str]]]] = {}
    for row in read_rows(folder, "looks.csv"):
        if row["network"] == "sigmoid":
            layers = networks.setdefault((row["seed"], row["learning_rate"]), {})
            layers.setdefault(row["layer"], []).append(row)
    shown = {
        "test accuracy, %": ("accuracy", "dense_1"),
        "flat slopes of the hidden dense layer": ("flat", "dense_1"),
        "spread of its outputs": ("spread", "dense_1"),
        "mean |∂L/∂W| of the convolution": ("gradient", "conv2d_1"),
    }
    series = []
    for title, (what, layer) in shown.items():
        for ((seed, rate), layers), colour in zip(networks.items(), APART, strict=False):
            rows, unit = layers[layer], 100 if what == "accuracy" else 1
            y = [unit * float(row[what] or "nan") for row in rows]
            x = [float(row["epoch"]) for row in rows]
            name = f"seed {seed}, learning rate {float(rate):g}"
            series.append(Series(name, x, y, colour, where={"shown": title}))
    about = f"Eight looks in an epoch; the accuracy is that on {JUDGED:,} test images."
    title = "Sigmoid on the plateau, and when it leaves it"
    scales = ("linear", "log")
    return [Chart(title, about, "epoch", "", series, scales, name="plateau")] if series else []


def _lengths(summary: Mapping[str, Any]) -> Table:
    rows = [
        [
            f"seed {row['seed']}, learning rate {row['learning_rate']:g}",
            *(_lasted(row), str(row["epochs_trained"]), percent(row["last_test_accuracy"])),
        ]
        for row in summary["plateaus"]
    ]
    head = ["sigmoid network", "epochs at chance", "epochs trained", "last test accuracy"]
    title = f"Epochs at chance: those before the first whose test accuracy is above {CHANCE:.0%}"
    return Table(title, head, [THEIR_PLATEAU, *rows])


def _tables(summary: Mapping[str, Any]) -> list[Told]:
    steps = [
        [name, f"step {look['step']}", *_cells(look)]
        for name, block in summary["networks"].items()
        for look in block["first_steps"]
    ] + [
        [name, f"epoch {look['epoch']:.0f}", *_cells(look)]
        for name, block in summary["networks"].items()
        for look in block["whole_epochs"]
    ]
    ends = [
        [
            f"seed {row['seed']}, learning rate {row['learning_rate']:g}",
            *(f"{look['epoch']:.3f}", percent(look["accuracy"]), *_cells(look)),
        ]
        for row in summary["plateaus"]
        if row["moment"] is not None
        for look in (row["moment"]["before"], row["moment"]["after"])
    ]
    found: list[Told] = [
        Table(
            "Both networks in the first steps, and later", ["network", "after", *ROW_HEAD], steps
        ),
        Prose([LEGEND]),
    ]
    if ends:
        title = (
            "The two looks between which the plateau ends: the last one at which the accuracy on "
            f"{JUDGED:,} test images is not above {1.5 * CHANCE:.1%}, and the next"
        )
        found.append(Table(title, ["network", "epoch", "test accuracy", *ROW_HEAD], ends))
    note = "The criterion of the claim on saturation was written after a first trial with seed 0."
    return [*found, Prose([note])]


def _cells(look: Mapping[str, Any]) -> list[str]:
    """A look: gradients of the layers, then what is told of the dense hidden layer."""
    layers = look["layers"]
    hidden = layers["dense_1"]
    return [
        *(f"{layer['gradient']:.1e}" for layer in layers.values()),
        *(f"{hidden['size']:.2f}", f"{hidden['flat']:.2%}"),
        *(f"{hidden['one_sign']:.2f}", f"{hidden['spread']:.1e}"),
    ]


def _epochs(summary: Mapping[str, Any]) -> Table:
    study, head = published(), ["epoch"]
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
    return Table("By epoch, published figures in brackets", head, rows)


LEGEND = (
    "dW: mean |∂L/∂W| of each layer, the loss summed over 64 training images. Of the dense hidden "
    "layer: |z|, mean size of its pre-activations; flat, share of slopes f'(z) below 1% of the "
    "steepest; one sign, Σ_j |Σ_i ∂L/∂W_ij| / Σ_ij |∂L/∂W_ij|, which is 1 where the weights of "
    "each unit have gradients of one sign; spread, standard deviation of its outputs over the "
    "images, mean over the units."
)
NOTE = (
    "Both networks start from the same weights and see the same batches. The study's seed is 42, "
    "in a framework whose random numbers are other ones."
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
        ["seed", f"{summary['seed']}; sigmoid until it moves: {seeds or 'no other'}"],
    ]


STUDY = Cifar10Cnn()
