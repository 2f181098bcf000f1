"""Adaptive piecewise linear units on CIFAR-10: what is declared of the study, and its report."""

from __future__ import annotations

import argparse
import functools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from minidl import Examples
from minidl.pages import Chart, Prose, Series, Table, Told, in_order
from minidl.pages.colours import function_colour
from minidl.study import Report, Rows, Run, Section, Task, TrainedStudy, judge, text_list
from minidl.study.charts import PER_CENT, Block, Group, layer_charts, learning_charts, over
from minidl.study.claims import published_title
from minidl.study.histories import by_epoch, by_layer, epoch_rows
from minidl.study.options import whole
from minidl.study.pairs import alone
from minidl.study.recording import History
from minidl.study.report import (
    claims_section,
    held_in,
    in_both,
    percent,
    pictures,
    sentence,
    set_up_section,
    word,
)
from minidl.training.checkpoint import Checkpoint
from studies.activation_study.study import IN_DEPTH
from studies.adaptive_activations.claims import ABOVE_RELU, CLAIMS, HINGES_MATTER
from studies.adaptive_activations.series import PUBLISHED_FILE, Figures, last, published, shape
from studies.adaptive_activations.training import (
    DEPTHS,
    FULL,
    FUNCTIONS,
    HINGES,
    REDUCED,
    Outcome,
    Outcomes,
    S,
    Size,
    Training,
    prepared,
)

SET_UPS = {"as_run": "as run", "as_described": "as described"}
LAYERS = ("convolution 1", "convolution 2", "convolution 3", "dense 1", "dense 2", "output layer")
SHAPES = f"h(x) of the first channel after each convolution, S = {S}"
PICTURES = {f"shapes_{key}": f"{SHAPES}, {title}" for key, title in SET_UPS.items()}
TrainingRuns = Mapping[tuple[str, str], Sequence[Block]]  # by group and name, one for each seed
By = Callable[[Training], Outcomes]


class AdaptiveActivations(TrainedStudy):
    name = "adaptive_activations"
    about = "Adaptive piecewise linear units on CIFAR-10: as run and as described."
    work = IN_DEPTH
    data = ("cifar-10",)
    kind = Outcomes
    keeps_weights = False
    reduced: Size = REDUCED

    def add_options(self, add: Any) -> None:
        full = "images and networks of the study's size; for a GPU"
        add("--full", action="store_true", help=full)
        add("--epochs", type=whole, help="of each training run (default: 10)")
        add("--images", type=whole, metavar="N", help="only the first N training images")

    def size(self, chosen: argparse.Namespace) -> Size:
        size = FULL if chosen.full else self.reduced
        return replace(
            size,
            epochs=chosen.epochs or size.epochs,
            train_images=chosen.images or size.train_images,
        )

    def tasks(self, run: Run) -> dict[str, Task[Outcomes]]:
        size, (data,) = self.size(run.chosen), run.data
        images = prepared(data.train, size.train_images), prepared(data.test, size.test_images)
        return {
            f"{name}-seed{seed}": functools.partial(_train, run, size, images, seed, by)
            for seed in run.seeds
            for name, by in _networks().items()
        }

    def summarise(self, run: Run, results: Mapping[str, Outcomes]) -> dict[str, Any]:
        size, trained = self.size(run.chosen), _by_seed(results)
        first = trained[run.chosen.seed]
        return {
            "dataset": run.used[0].name,
            "size": asdict(size),
            "is_full_size": size == FULL,
            "seeds": list(trained),
            "shapes": {key: _first_channels(Figures.of(first, key, 1)) for key in SET_UPS},
            "runs": [
                {
                    "seed": seed,
                    "trainings": [
                        {"group": group, "name": name}
                        | by_epoch(outcome.history)
                        | _weights(outcome.history)
                        for (group, name), outcome in outcomes.items()
                    ],
                }
                for seed, outcomes in trained.items()
            ],
        }

    def judge(self, summary: dict[str, Any], results: Mapping[str, Outcomes]) -> None:
        size = Size(**summary["size"])
        study, whole_study = published(size.epochs), published()
        summary["claims"] = {}
        for key in SET_UPS:
            runs = [
                Figures.of(outcomes, key, size.test_images, alone(summary))
                for outcomes in _by_seed(results).values()
            ]
            claims = judge(CLAIMS, study, runs, whole_study)
            summary["claims"][key] = [claim.as_dict() for claim in claims]

    def tables(self, run: Run, results: Mapping[str, Outcomes]) -> dict[str, Rows]:
        rows = [
            {"group": group} | row
            for seed, outcomes in _by_seed(results).items()
            for (group, name), outcome in outcomes.items()
            for row in epoch_rows(seed, name, outcome.history)
        ]
        return {"epochs.csv": rows}

    def results(self, summary: Mapping[str, Any]) -> str:
        rows = [
            [run["verdict"], described["verdict"], run["claim"]]
            for run, described in zip(*summary["claims"].values(), strict=True)
        ]
        return text_list([[*SET_UPS.values(), "claim"], *rows])

    # -- the report ------------------------------------------------------------------------------

    def report(self, folder: Path, summary: Mapping[str, Any]) -> Report:
        training_runs = _training_runs(summary)
        groups = {title: _group(training_runs, key) for key, title in SET_UPS.items()}
        claims = {title: summary["claims"][key] for key, title in SET_UPS.items()}
        theirs = published_title(summary["size"]["epochs"], FULL.epochs)
        shown: Sequence[Told] = _shapes(summary) or pictures(folder, PICTURES)
        sections = [
            claims_section(claims, CLAIMS, "Text and run agree in the last four.", theirs),
            Section("Number of hinges (table 21)", _hinge_table(training_runs, summary)),
            Section(
                "APL, ReLU, leaky ReLU (table 22)",
                [*_function_table(training_runs), *learning_charts(groups)],
            ),
            Section("Learned shapes", [Prose([SHAPE]), *shown]),
            Section("Depth", [_depths(training_runs), *_depth_table(training_runs)]),
            set_up_section(_set_up(summary), summary, [_sizes(summary)], NOTE),
        ]
        if all("gradients" in block for blocks in training_runs.values() for block in blocks):
            sections.insert(-1, Section("Layer by layer", layer_charts(groups, LAYERS)))
        return Report(
            "Adaptive piecewise linear units on CIFAR-10: as run and as described",
            self.work,
            "Do activation functions that are learned, h(x) = max(0, x) + Σ_s a_s max(0, b_s − x), "
            "beat ReLU, and does the number of hinges S matter? The study said yes to both; its "
            "run differs from its text in three points.",
            _answer(summary, training_runs),
            [_hinges(training_runs)],
            held_in(claims),
            sections,
            _warning(summary),
        )


def _networks() -> dict[str, By]:
    """Every network of one seed; longest first, so that no job waits for it in the end."""
    tasks: dict[str, By] = {"hinges-as-run": Training.hinges_as_run}
    tasks |= {name: functools.partial(Training.function, name=name) for name in FUNCTIONS}
    for s in HINGES:
        tasks[f"hinges-{s}"] = functools.partial(Training.hinges_as_described, hinges=s)
    for layers in DEPTHS:
        for name in FUNCTIONS:
            tasks[f"depth-{layers}-{name}"] = functools.partial(_depth, layers=layers, name=name)
    return tasks


def _depth(training: Training, layers: int, name: str) -> Outcomes:
    return training.shrunk().depth(layers, name)


def _train(
    run: Run,
    size: Size,
    images: tuple[Examples, Examples],
    seed: int,
    by: By,
    checkpoint: Checkpoint,
) -> Outcomes:
    train, test = (examples.to() for examples in images)  # buffers of its own
    classes = len(run.data[0].classes)
    return by(Training(size, train, test, classes, seed, run.device, run.record, checkpoint))


def _by_seed(results: Mapping[str, Outcomes]) -> dict[int, dict[tuple[str, str], Outcome]]:
    trained: dict[int, dict[tuple[str, str], Outcome]] = {}
    for name, outcomes in results.items():
        trained.setdefault(int(name.rpartition("-seed")[2]), {}).update(outcomes)
    return trained


def _weights(history: History) -> dict[str, Any]:
    """The gradients and updates of the weights: the b of APL are no biases.

    Nothing for a training run that was begun, and kept, when it was not yet probed.
    """
    if len(history.probes) < len(history.seconds):
        return {}
    layers = by_layer(history)
    return {key: {"weights": layers[key]["weights"]} for key in ("gradients", "update_ratios")}


def _first_channels(figures: Figures) -> dict[str, list[dict[str, list[float]]]]:
    """a and b of the first channel after each convolution, by epoch."""
    return {
        str(epoch): [{"a": a[:, 0].tolist(), "b": b[:, 0].tolist()} for a, b in layers[:3]]
        for epoch, layers in figures.shapes.items()
    }


# -- what the report says ----------------------------------------------------------------------


def _training_runs(summary: Mapping[str, Any]) -> TrainingRuns:
    found: dict[tuple[str, str], list[Block]] = {}
    for run in summary["runs"]:
        for training in run["trainings"]:
            found.setdefault((training["group"], training["name"]), []).append(training)
    return found


def _runs(training_runs: TrainingRuns, key: str) -> dict[str, Sequence[Block]]:
    """The three functions; as run, leaky ReLU is the same, and APL is the network of S = 5."""
    runs = {name: training_runs["functions_as_described", name] for name in FUNCTIONS}
    if key == "as_run":
        runs["apl"] = training_runs["hinges_as_described", str(S)]
        runs["relu"] = training_runs["functions_as_run", "relu"]
    return runs


def _group(training_runs: TrainingRuns, key: str) -> Group:
    study = {name: vars(series) for name, series in published().functions.items()}
    return Group(_runs(training_runs, key), study)


def _accuracies(runs: Sequence[Block]) -> list[float]:
    return [run["test_accuracy"][-1] for run in runs]


def _mean(runs: Sequence[Block]) -> float:
    return float(np.mean(_accuracies(runs)))


def _answer(summary: Mapping[str, Any], training_runs: TrainingRuns) -> str:
    apl, hinges = (
        in_both(*(word(summary["claims"][key], claim) for key in SET_UPS))
        for claim in (ABOVE_RELU, HINGES_MATTER)
    )
    cells = (("hinges_as_run", "1"), ("hinges_as_run", "10"), ("hinges_as_described", "10"))
    first, final, new = (percent(_mean(training_runs[cell])) for cell in cells)
    return (
        f"{sentence(apl)} for APL against ReLU; {hinges} for the number of hinges: on the test "
        f"images the network that is trained on from S = 1 to S = 10 goes from {first} to {final}, "
        f"a new one with S = 10 reaches {new}."
    )


def _warning(summary: Mapping[str, Any]) -> str:
    size = Size(**summary["size"])
    if summary["is_full_size"]:
        return ""
    return (
        f"Smaller than the study: {size.train_images:,} of its {FULL.train_images:,} training "
        f"images, {size.test_images:,} test images, {size.dense:,} of its {FULL.dense:,} units in "
        f"a dense layer and as large a share of its channels, {size.epochs} epochs. The accuracies "
        "cannot be compared with the published ones; who is ahead of whom can. `--full` is the "
        "study's size."
    )


def _by_number(name: str, x: Sequence[int], runs: Sequence[Sequence[Block]], colour: int) -> Series:
    values = [[100 * accuracy for accuracy in _accuracies(some)] for some in runs]
    return over(name, x, values, colour=colour)


def _hinges(training_runs: TrainingRuns) -> Chart:
    series = [
        _by_number(title, HINGES, [training_runs[f"hinges_{key}", str(s)] for s in HINGES], colour)
        for colour, (key, title) in zip((1, 4), SET_UPS.items(), strict=True)
    ]
    theirs = [100 * last(published().hinges[s]) for s in HINGES]
    series.append(Series("published", HINGES, theirs, 9, published=True))
    about = "Test accuracy after the last epoch by the number of hinges: as run, one network "
    about += "trained on from each S to the next; as described, a new network for each S."
    return Chart("Accuracy by number of hinges", about, "S", PER_CENT, series, name="hinges")


def _hinge_table(training_runs: TrainingRuns, summary: Mapping[str, Any]) -> list[Told]:
    study, epochs = published(), summary["size"]["epochs"]
    rows = []
    for i, s in enumerate(HINGES, 1):
        run, new = (percent(_mean(training_runs[f"hinges_{key}", str(s)])) for key in SET_UPS)
        theirs = percent(last(study.hinges[s]))
        rows.append([str(s), theirs, run, str(epochs * i), new, str(epochs)])
    head = ["S", "published", "as run", "epochs so far", "as described", "epochs"]
    note = (
        "As run the parameters are carried over; hinges that are added start with a = b = 0, which "
        "changes nothing at first, since in the study's log the loss continues without a jump "
        "(0.864 at the end with S = 1, 0.860 at the start with S = 2). The optimizer starts anew "
        "with each S."
    )
    return [Table("Test accuracy after the last epoch", head, rows), Prose([note])]


def _function_table(training_runs: TrainingRuns) -> list[Told]:
    study = json.loads(PUBLISHED_FILE.read_text(encoding="utf-8"))["table_22"]["rows"]
    rows = []
    for name, theirs in zip(FUNCTIONS, study.values(), strict=True):
        loss, test_loss, accuracy = theirs.values()
        cells = [f"{loss:.3f}, {test_loss:.3f}, {percent(accuracy / 100)}"]
        for key in SET_UPS:
            some = _runs(training_runs, key)[name]
            first = np.mean([block["train_loss"][0] for block in some])
            tested = np.mean([block["test_loss"][-1] for block in some])
            cells.append(f"{first:.3f}, {tested:.3f}, {percent(_mean(some))}")
        rows.append([name, *cells])
    note = (
        "As run, ReLU is shown in the second half of its epochs, leaky ReLU is the network of the "
        "other column, and APL is the new network with S = 5 above. As described, nothing differs "
        "but the function, which all three have after their dense layers, too. The study's table "
        "has 60.25% for ReLU where its log ends with 60.75%; the claims are judged on the log."
    )
    title = "Training loss of the first epoch, test loss and test accuracy of the last"
    return [Table(title, ["function", "published", *SET_UPS.values()], rows), Prose([note])]


SHAPE = "h(x) = max(0, x) + Σ_s a_s max(0, b_s − x). As run the network has no function after its "
SHAPE += "dense layers."


def _shapes(summary: Mapping[str, Any]) -> list[Chart]:
    """The learned functions, where the summary has them."""
    x, series = np.linspace(-3, 3, 61), []
    for key, title in SET_UPS.items():
        epochs = summary.get("shapes", {}).get(key, {})
        for place, (epoch, layers) in enumerate(epochs.items()):
            look = in_order(place, len(epochs))
            name = "at the start" if epoch == "0" else f"epoch {epoch}"
            for i, layer in enumerate(layers, 1):
                a, b = (np.array(layer[letter])[:, None] for letter in "ab")
                y = shape(a, b, x)[:, 0].tolist()
                where = {"set-up": title}
                panel = f"convolution {i}"
                series.append(Series(name, x.tolist(), y, panel=panel, where=where, **look))
    name = "shapes"
    return (
        [Chart("Learned functions", f"{SHAPES}.", "x", "h(x)", series, name=name)] if series else []
    )


def _depths(training_runs: TrainingRuns) -> Chart:
    series = [
        _by_number(f, DEPTHS, [training_runs[f"depth_{d}", f] for d in DEPTHS], function_colour(f))
        for f in FUNCTIONS
    ]
    about = "Test accuracy after the last epoch of smaller networks with 3, 5 and 7 layers."
    return Chart("Accuracy by depth", about, "layers", PER_CENT, series, name="depth")


def _depth_table(training_runs: TrainingRuns) -> list[Told]:
    rows = [
        [str(d), *(percent(_mean(training_runs[f"depth_{d}", name])) for name in FUNCTIONS)]
        for d in DEPTHS
    ]
    note = "Convolutions 3×3, the mean of each channel, one dense layer."
    title = "Test accuracy after the last epoch"
    return [Table(title, ["layers", *FUNCTIONS], rows), Prose([note])]


def _sizes(summary: Mapping[str, Any]) -> Table:
    sizes = FULL, Size(**summary["size"])
    rows = [
        ["training images", *(f"{s.train_images:,}" for s in sizes)],
        ["test images", *(f"{s.test_images:,}" for s in sizes)],
        ["epochs", *(str(s.epochs) for s in sizes)],
        ["batch size", *(str(s.batch_size) for s in sizes)],
        ["channels", *("-".join(map(str, s.channels)) for s in sizes)],
        ["dense layers", *(f"{s.dense:,}" for s in sizes)],
        ["channels, networks of 3, 5, 7 layers", *(str(s.depth_channels) for s in sizes)],
        ["their images", *(f"{s.depth_side}×{s.depth_side}" for s in sizes)],
    ]
    return Table("Sizes", ["", "study", "here"], rows)


NOTE = (
    "All networks of one seed see the same images in the same order. What the study does not give "
    "and is chosen here: the scaling of the pixels, that convolutions are followed by their "
    "function in the networks of 3, 5 and 7 layers, and that these keep the image's size. PyTorch, "
    "which it used, draws other random numbers."
)


def _set_up(summary: Mapping[str, Any]) -> list[Sequence[str | Told]]:
    return [
        ["data", "CIFAR-10, the first images of each part; pixels from −1 to 1"],
        [
            "network",
            "convolution 5×5, function, max pooling 3×3 with stride 2, dropout 0.25; twice the "
            "same with average pooling; two dense layers, each with dropout 0.5; dense layer to 10",
        ],
        ["weights", "He-normal, zero biases; a from U(−1/√S, 1/√S), b = 0"],
        ["optimizer", "Adam, learning rate 0.001, L2 penalty 0.001 on all parameters"],
        ["augmentation", "crop with a border of 4 in 32 pixels, mirror image"],
        ["seeds", ", ".join(map(str, summary["seeds"]))],
    ]


STUDY = AdaptiveActivations()
