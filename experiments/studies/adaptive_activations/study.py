"""Adaptive piecewise linear units on CIFAR-10: the declaration of the study, and its report."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from minidl.pages import Prose, Told
from minidl.study import Claim, Report, Rows, Run, Section, Task, Verdicts, judge
from minidl.study.charts import layer_charts, learning_charts
from minidl.study.claims import published_title
from minidl.study.histories import by_epoch, by_layer, epoch_rows
from minidl.study.options import whole
from minidl.study.recording import History
from minidl.study.report import percent, pictures, sentence, set_up_section
from minidl.study.sized_study import SET_UPS, SizedStudy
from minidl.study.tables import counted
from studies.activation_study.study import IN_DEPTH
from studies.adaptive_activations import parts
from studies.adaptive_activations.claims import ABOVE_RELU, CLAIMS, HINGES_MATTER
from studies.adaptive_activations.series import Figures, published
from studies.adaptive_activations.training import (
    DEPTHS,
    FULL,
    FUNCTIONS,
    HINGES,
    REDUCED,
    By,
    Outcome,
    Outcomes,
    Size,
    Training,
    prepared,
)

LAYERS = ("convolution 1", "convolution 2", "convolution 3", "dense 1", "dense 2", "output layer")
PICTURES = {f"shapes_{key}": f"{parts.SHAPES}, {title}" for key, title in SET_UPS.items()}


class AdaptiveActivations(SizedStudy):
    name = "adaptive_activations"
    about = "Adaptive piecewise linear units on CIFAR-10: as run and as described."
    work = IN_DEPTH
    data = ("cifar-10",)
    kind = Outcomes
    keeps_weights = False
    full, reduced = FULL, REDUCED
    sized_by = (("epochs", "epochs"), ("images", "train_images"))

    def add_options(self, add: Any) -> None:
        full = "images and networks of the study's size; for a GPU"
        add("--full", action="store_true", help=full)
        add("--epochs", type=whole, help="of each training run (default: 10)")
        add("--images", type=whole, metavar="N", help="only the first N training images")

    def tasks(self, run: Run) -> dict[str, Task[Outcomes]]:
        size, (data,) = self.size(run.chosen), run.data
        images = prepared(data.train, size.train_images), prepared(data.test, size.test_images)
        return {
            f"{name}-seed{seed}": functools.partial(Training.start, run, size, images, seed, by)
            for seed in run.seeds
            for name, by in _networks().items()
        }

    def summarise(self, run: Run, results: Mapping[str, Outcomes]) -> dict[str, Any]:
        trained, data = _by_seed(results), run.used[0]
        images = {"train_images": data.train_images, "test_images": data.test_images}
        first = {key: Figures.of(trained[run.chosen.seed], key, **images) for key in SET_UPS}
        return {
            "dataset": data.name,
            **self.size_block(run),
            "seeds": list(trained),
            "shapes": {key: _first_channels(figures) for key, figures in first.items()},
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

    def judged(
        self, summary: Mapping[str, Any], results: Mapping[str, Outcomes], key: str
    ) -> list[Claim]:
        size = self.size_of(summary)
        more = {"train_images": size.train_images, "test_images": size.test_images}
        runs = [Figures.of(outcomes, key, **more) for outcomes in _by_seed(results).values()]
        return judge(CLAIMS, published(size.epochs), runs, published())

    def tables(self, run: Run, results: Mapping[str, Outcomes]) -> dict[str, Rows]:
        rows = [
            {"group": group} | row
            for seed, outcomes in _by_seed(results).items()
            for (group, name), outcome in outcomes.items()
            for row in epoch_rows(seed, name, outcome.history)
        ]
        return {"epochs.csv": rows}

    # -- the report ------------------------------------------------------------------------------

    def report(self, folder: Path, summary: Mapping[str, Any]) -> Report:
        runs, verdicts = parts.training_runs(summary), self.verdicts(summary)
        groups = {title: parts.group(runs, key) for key, title in SET_UPS.items()}
        theirs = published_title(summary["size"]["epochs"], FULL.epochs)
        functions = [*parts.function_table(runs), *learning_charts(groups)]
        layers = layer_charts(groups, LAYERS)  # older summaries have none, and no learned shapes
        learned: Sequence[Told] = (
            [parts.shapes(summary)] if "shapes" in summary else pictures(folder, PICTURES)
        )
        return Report(
            "Adaptive piecewise linear units on CIFAR-10: as run and as described",
            self.work,
            "Do learned activation functions, h(x) = max(0, x) + Σ_s a_s max(0, b_s − x), beat "
            "ReLU, and does the number of hinges S matter? The study says yes to both; its run "
            "differs from its text in three respects.",
            _answer(verdicts, runs),
            [parts.hinges(runs)],
            verdicts.held(),
            [
                verdicts.section(CLAIMS, "Text and run agree on the last four.", theirs),
                Section("Number of hinges (table 21)", parts.hinge_table(runs, summary)),
                Section("APL, ReLU, leaky ReLU (table 22)", functions),
                Section("Learned shapes", [Prose([parts.SHAPE]), *learned]),
                Section("Depth", [parts.depths(runs), *parts.depth_table(runs)]),
                *([Section("Layer by layer", layers)] if layers else []),
                set_up_section(_set_up(summary), summary, [self.sizes(summary, SIZES)], NOTE),
            ],
            _warning(summary, self.size_of(summary)),
        )


def _networks() -> dict[str, By]:
    """Every network of one seed; longest first, so that no job waits for it at the end."""
    tasks: dict[str, By] = {"hinges-as-run": Training.hinges_as_run}
    for name in FUNCTIONS:
        tasks[name] = functools.partial(Training.function, name=name)
    for s in HINGES:
        tasks[f"hinges-{s}"] = functools.partial(Training.hinges_as_described, hinges=s)
    for layers, name in itertools.product(DEPTHS, FUNCTIONS):
        task = functools.partial(Training.depth, layers=layers, name=name)
        tasks[f"depth-{layers}-{name}"] = task
    return tasks


def _by_seed(results: Mapping[str, Outcomes]) -> dict[int, dict[tuple[str, str], Outcome]]:
    trained: dict[int, dict[tuple[str, str], Outcome]] = {}
    for name, outcomes in results.items():
        trained.setdefault(int(name.rpartition("-seed")[2]), {}).update(outcomes)
    return trained


def _weights(history: History) -> dict[str, Any]:
    """The gradients and updates of the weights: the b of APL are not biases."""
    layers = by_layer(history)
    return {key: {"weights": layers[key]["weights"]} for key in ("gradients", "update_ratios")}


def _first_channels(figures: Figures) -> dict[str, list[dict[str, list[float]]]]:
    """a and b of the first channel after each convolution, by epoch."""
    return {
        str(epoch): [{"a": a[:, 0].tolist(), "b": b[:, 0].tolist()} for a, b in layers[:3]]
        for epoch, layers in figures.shapes.items()
    }


def _answer(verdicts: Verdicts, runs: parts.TrainingRuns) -> str:
    apl, hinges = (verdicts.word(claim) for claim in (ABOVE_RELU, HINGES_MATTER))
    cells = (("hinges_as_run", "1"), ("hinges_as_run", "10"), ("hinges_as_described", "10"))
    first, final, new = (percent(parts.mean(runs[cell])) for cell in cells)
    return (
        f"{sentence(apl)} for APL against ReLU; {hinges} for the number of hinges: the test "
        f"accuracy of the network whose training continues from S = 1 to S = 10 goes from {first} "
        f"to {final}, that of a new one with S = 10 is {new}."
    )


def _warning(summary: Mapping[str, Any], size: Size) -> str:
    if summary["is_full_size"]:
        return ""
    return (
        f"Smaller than the study: {size.train_images:,} of its {FULL.train_images:,} training "
        f"images, {size.test_images:,} test images, {size.dense:,} of its {FULL.dense:,} units in "
        f"a dense layer and the same share of its channels, {counted(size.epochs, 'epoch')}. The "
        "accuracies cannot be compared with the published ones, but which function is ahead can. "
        "`--full` is the study's size."
    )


SIZES: dict[str, Callable[[Size], str]] = {
    "training images": lambda size: f"{size.train_images:,}",
    "test images": lambda size: f"{size.test_images:,}",
    "epochs": lambda size: str(size.epochs),
    "batch size": lambda size: str(size.batch_size),
    "channels": lambda size: "-".join(map(str, size.channels)),
    "dense layers": lambda size: f"{size.dense:,}",
    "channels, networks of 3, 5, 7 layers": lambda size: str(size.depth_channels),
    "images of these networks": lambda size: f"{size.depth_side}×{size.depth_side}",
}
NOTE = (
    "All networks of one seed see the same images in the same order. The study does not give "
    "the scaling of the pixels, nor whether the convolutions of the networks of 3, 5 and 7 layers "
    "are followed by their function and keep the image's size; here, they do both. PyTorch, which "
    "the study used, draws different random numbers."
)


def _set_up(summary: Mapping[str, Any]) -> list[Sequence[str | Told]]:
    return [
        ["data", "CIFAR-10, the first images of each part; pixels from −1 to 1"],
        [
            "network",
            "convolution 5×5, function, max pooling 3×3 with stride 2, dropout 0.25; the "
            "same twice more with average pooling; two dense layers, each with dropout 0.5; dense "
            "layer with 10 outputs",
        ],
        ["weights", "He-normal, zero biases; a from U(−1/√S, 1/√S), b = 0"],
        ["optimizer", "Adam, learning rate 0.001, L2 penalty 0.001 on all parameters"],
        ["augmentation", "random crop after padding by 4 of 32 pixels, random horizontal flip"],
        ["seeds", ", ".join(map(str, summary["seeds"]))],
    ]


STUDY = AdaptiveActivations()
