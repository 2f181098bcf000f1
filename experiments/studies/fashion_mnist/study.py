"""Sigmoid against ReLU on Fashion-MNIST: the declaration of the study, and its report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from minidl import Examples, Network
from minidl.pages import Chart, Prose, Table, Told
from minidl.pages import Series as Line
from minidl.pages.colours import function_colour
from minidl.study import Claim, Report, Run, Section, Verdicts, Work, pairs
from minidl.study.charts import PER_CENT, Group, beside, layer_charts, learning_charts
from minidl.study.claims import published_title
from minidl.study.figures import image_rows
from minidl.study.pair_study import PairStudy
from minidl.study.pairs import ACTIVATIONS
from minidl.study.recording import History
from minidl.study.report import percent, pictures, sentence, set_up_section, shorter
from minidl.study.tables import by_columns, column
from studies.fashion_mnist.claims import CLAIMS, EPOCHS, MORE_ACCURATE, Series, published
from studies.fashion_mnist.training import SET_UPS, Images, Outcome

if TYPE_CHECKING:
    from matplotlib.figure import Figure

OPENING = ("as_run", "as_run_adam", "as_described")  # the set-ups of the opening chart
NOT_CLASSES = ("macro avg", "weighted avg")
MISTAKES = "The first test image of each class that the network gets wrong, "
PICTURES = {f"{key}_mistakes": MISTAKES + SET_UPS[key].title for key in ("as_run", "as_described")}


class FashionMnist(PairStudy):
    name = "fashion_mnist"
    about = "Sigmoid against ReLU on Fashion-MNIST: a published comparison, rerun."
    work = Work(
        "Part 3. ReLU vs Sigmoid: Which Activation Function Wins on Fashion MNIST?",
        "drnsmith",
        2024,
        "https://github.com/drnsmith/Designing-Dense-NNs-Using-MNIST",
    )
    data = ("fashion-mnist",)
    seeds = 3
    kind = Outcome
    set_ups = SET_UPS
    epochs = EPOCHS

    def prepare(self, run: Run) -> Images:
        (data,) = run.data
        return Images(data.train, data.test, data.train.joined(data.test))

    def split(self, prepared: Images, key: str, seed: int) -> tuple[Examples, Examples]:
        return prepared.split(SET_UPS[key], seed)

    def outcome(
        self, run: Run, history: History, network: Network, images: tuple[Examples, Examples]
    ) -> Outcome:
        return Outcome.of(history, network, *images, run.data[0].classes)

    def describe(self, run: Run, key: str, outcome: Outcome) -> dict[str, Any]:
        used = run.used[0]
        return SET_UPS[key].as_dict(used.inputs, len(used.classes)) | {
            "train_images": outcome.train_images,
            "test_images": outcome.test_images,
        }

    def judged(self, summary: Mapping[str, Any], key: str) -> list[Claim]:
        """The claims in a set-up, beside the published figures, which are those of the run."""

        def study(epochs: int = EPOCHS) -> Mapping[str, Series]:
            return published(epochs)["as_run"]

        return pairs.judged(CLAIMS, summary, summary["set_ups"][key], study, Series.of)

    def published(self, epochs: int) -> Mapping[str, Mapping[str, Series]]:
        return published(epochs)

    def figures(self, run: Run, results: Mapping[str, Outcome]) -> Iterator[tuple[str, Figure]]:
        """The mistakes of the first seed."""
        classes = run.data[0].classes
        for key in ("as_run", "as_described"):
            found = {f: results[f"{key}-{f}-seed{run.chosen.seed}"].mistakes for f in ACTIVATIONS}
            rows = {
                f: [(m.image, f"{classes[m.label]}\n→ {classes[m.taken_for]}") for m in mistakes]
                for f, mistakes in found.items()
                if mistakes
            }
            if rows:
                title = f"The first mistake in each class, {SET_UPS[key].title}"
                yield f"{key}_mistakes", image_rows(title, rows)

    # -- the report ------------------------------------------------------------------------------

    def report(self, folder: Path, summary: Mapping[str, Any]) -> Report:
        epochs, set_ups = summary["epochs"], summary["set_ups"]
        groups = self.groups(summary)
        told = self.verdicts(summary, ("as_run", "as_described"))
        classes: list[Told] = [_f1(groups), *pictures(folder, PICTURES), *_class_tables(summary)]
        return Report(
            "Sigmoid against ReLU on Fashion-MNIST: as run and as described",
            self.work,
            "Is ReLU far ahead of sigmoid on Fashion-MNIST? The study says yes, by 21.6 points, "
            "but its text describes a different network and optimizer from those of its run.",
            _answer(summary, told),
            [_opening(groups)],
            told.held(),
            [
                self.verdicts(summary).section(CLAIMS, published=published_title(epochs, EPOCHS)),
                Section("Accuracy and loss", [*learning_charts(groups), *_last_epoch(summary)]),
                Section("Layer by layer", layer_charts(groups)),
                Section("Class by class", classes),
                set_up_section(_set_up(summary), summary, [_set_ups(set_ups)], NOTE),
            ],
            shorter(epochs, EPOCHS),
        )


def _answer(summary: Mapping[str, Any], told: Verdicts) -> str:
    set_ups = summary["set_ups"]
    said = {}
    for key in OPENING:
        networks = set_ups[key]["networks"]
        relu, sigmoid = (networks[name]["test_accuracy"][-1] for name in ("relu", "sigmoid"))
        said[key] = f"{percent(relu)} and {percent(sigmoid)}"
    return (
        f"{sentence(told.word(MORE_ACCURATE))}: ReLU and sigmoid recognise {said['as_run']} of the "
        f"test images with the study's plain SGD, {said['as_run_adam']} with Adam and nothing else "
        f"changed, and {said['as_described']} as described."
    )


def _opening(groups: Mapping[str, Group]) -> Chart:
    series: list[Line] = []
    for title in (SET_UPS[key].title for key in OPENING):
        for name, runs in groups[title].runs.items():
            study = groups[title].study.get(name, {})
            series += beside(name, "test_accuracy", runs, study, panel=title)
    about = "Share of the test images recognised after each epoch."
    return Chart("Test accuracy in three set-ups", about, "epoch", PER_CENT, series)


def _last_epoch(summary: Mapping[str, Any]) -> list[Told]:
    """All set-ups after the last epoch: means over the seeds, smallest to largest."""
    study, epochs = published(summary["epochs"]), summary["epochs"]
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
    note = (
        "Means over the seeds, followed by the smallest and the largest value. "
        if len(summary["seeds"]) > 1
        else ""
    )
    if epochs != EPOCHS:
        note += f"The published figures are those of epoch {min(epochs, EPOCHS)}. "
    note += "Training figures are running means over the epoch, with dropout on."
    return [Table("After the last epoch", head, rows), Prose([note])]


def _mean_and_range(values: Sequence[float]) -> str:
    mean = f"{np.mean(values):.4f}"
    return mean if len(values) == 1 else f"{mean}, {min(values):.4f}–{max(values):.4f}"


def _f1(groups: Mapping[str, Group]) -> Chart:
    about = (
        "F1, the harmonic mean of precision and recall, after the last epoch; mean over the seeds."
    )
    series = list(_scores(groups))
    return Chart("F1 of each class", about, "class", "F1", series, from_zero=False)


def _scores(groups: Mapping[str, Group]) -> Iterator[Line]:
    for title, group in groups.items():
        for name, runs in group.runs.items():
            reports = [run["classification_report"] for run in runs]
            classes = [label for label in reports[0] if label not in NOT_CLASSES]
            y = [sum(report[c]["f1"] for report in reports) / len(reports) for c in classes]
            style: dict[str, Any] = {"colour": function_colour(name), "where": {"set-up": title}}
            yield Line(name, classes, y, **style)
            if group.study.get(name, {}).get("by_class"):
                theirs = [group.study[name]["by_class"][c]["f1"] for c in classes]
                yield Line(f"{name}, published", classes, theirs, published=True, **style)


def _class_tables(summary: Mapping[str, Any]) -> Iterator[Table]:
    """Precision, recall and F1 of each class, published figures in brackets."""
    study = published(summary["epochs"])
    for key, block in summary["set_ups"].items():
        reports = {name: block["networks"][name]["classification_report"] for name in ACTIVATIONS}
        columns = {"class": list(reports["relu"])}
        for name, ours in reports.items():
            theirs = study.get(key, {}).get(name)
            known = theirs.by_class if theirs else {}  # after the study's last epoch only
            for score in ("precision", "recall", "f1"):
                published_scores = [known[c][score] for c in ours] if known else ()
                columns[f"{name}: {score}"] = column(
                    [scores[score] for scores in ours.values()], published_scores, 2
                )
        columns["images"] = [f"{scores['support']:,.0f}" for scores in reports["relu"].values()]
        beside = (
            "; published figures in brackets"
            if study.get(key) and summary["epochs"] >= EPOCHS
            else ""
        )
        yield by_columns(f"By class, {SET_UPS[key].title}{beside}", columns)


def _set_ups(set_ups: Mapping[str, Any]) -> Table:
    rows = [
        [
            SET_UPS[key].title,
            *(block["network"], block["optimizer"], str(block["batch_size"])),
            "pooled, a fifth of each class for testing" if SET_UPS[key].is_pooled else "official",
            f"{block['train_images']:,} / {block['test_images']:,}",
        ]
        for key, block in set_ups.items()
    ]
    head = ["set-up", "network", "optimizer", "batch size", "split", "training / test images"]
    return Table("What differs between the set-ups", head, rows)


def _set_up(summary: Mapping[str, Any]) -> list[list[str | Told]]:
    return [
        ["data", f"{summary['dataset_title']}, pixels / 255"],
        ["weights, loss", "Glorot-uniform, zero biases, as in Keras; softmax cross-entropy"],
        ["epochs", str(summary["epochs"])],
        ["seeds", ", ".join(map(str, summary["seeds"]))],
    ]


NOTE = (
    "All networks of one seed see the same split and the same batches, and sigmoid and ReLU start "
    "from the same weights. The text gives neither batch size nor number of epochs; the set-up "
    "as described uses Keras's default of 32 and the number of epochs of the run."
)
STUDY = FashionMnist()
