"""Charts and tables of the report on adaptive activation functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from minidl.pages import Chart, Prose, Series, Table, Told, in_order
from minidl.pages.colours import function_colour
from minidl.study.charts import PER_CENT, Block, Group, over
from minidl.study.claims import read_published
from minidl.study.report import percent
from minidl.study.sized_study import SET_UPS
from studies.adaptive_activations.series import functions_of, last, published, shape
from studies.adaptive_activations.training import DEPTHS, FUNCTIONS, HINGES, S

SHAPES = f"h(x) of the first channel after each convolution, S = {S}"
TrainingRuns = Mapping[tuple[str, str], Sequence[Block]]  # by group and name, one for each seed


def training_runs(summary: Mapping[str, Any]) -> TrainingRuns:
    found: dict[tuple[str, str], list[Block]] = {}
    for run in summary["runs"]:
        for training in run["trainings"]:
            found.setdefault((training["group"], training["name"]), []).append(training)
    return found


def group(training_runs: TrainingRuns, key: str) -> Group:
    study = {name: vars(series) for name, series in published().functions.items()}
    return Group(functions_of(training_runs, key), study)


def _accuracies(runs: Sequence[Block]) -> list[float]:
    return [run["test_accuracy"][-1] for run in runs]


def mean(runs: Sequence[Block]) -> float:
    return float(np.mean(_accuracies(runs)))


def _by_number(name: str, x: Sequence[int], runs: Sequence[Sequence[Block]], colour: int) -> Series:
    values = [[100 * accuracy for accuracy in _accuracies(some)] for some in runs]
    return over(name, x, values, colour=colour)


def hinges(training_runs: TrainingRuns) -> Chart:
    series = [
        _by_number(title, HINGES, [training_runs[f"hinges_{key}", str(s)] for s in HINGES], colour)
        for colour, (key, title) in zip((1, 4), SET_UPS.items(), strict=True)
    ]
    theirs = [100 * last(published().hinges[s]) for s in HINGES]
    series.append(Series("published", HINGES, theirs, 9, published=True))
    about = (
        "Test accuracy after the last epoch by the number of hinges: as run, one network whose "
        "training continues from each S to the next; as described, a new network for each S."
    )
    return Chart("Accuracy by number of hinges", about, "S", PER_CENT, series, name="hinges")


def hinge_table(training_runs: TrainingRuns, summary: Mapping[str, Any]) -> list[Told]:
    study, epochs = published(), summary["size"]["epochs"]
    rows = []
    for i, s in enumerate(HINGES, 1):
        run, new = (percent(mean(training_runs[f"hinges_{key}", str(s)])) for key in SET_UPS)
        theirs = percent(last(study.hinges[s]))
        rows.append([str(s), theirs, run, str(epochs * i), new, str(epochs)])
    head = ["S", "published", "as run", "epochs so far", "as described", "epochs"]
    note = (
        "As run, the parameters are carried over from each S to the next. Added hinges start with "
        "a = b = 0, which changes nothing at first: in the study's log, too, the loss continues "
        "without a jump (0.864 at the end with S = 1, 0.860 at the start with S = 2). The "
        "optimizer is reset for each S."
    )
    return [Table("Test accuracy after the last epoch", head, rows), Prose([note])]


def function_table(training_runs: TrainingRuns) -> list[Told]:
    study = read_published(__file__)["table_22"]["rows"]
    rows = []
    for name, theirs in zip(FUNCTIONS, study.values(), strict=True):
        loss, test_loss, accuracy = theirs.values()
        cells = [f"{loss:.3f}, {test_loss:.3f}, {percent(accuracy / 100)}"]
        for key in SET_UPS:
            some = functions_of(training_runs, key)[name]
            first = np.mean([block["train_loss"][0] for block in some])
            tested = np.mean([block["test_loss"][-1] for block in some])
            cells.append(f"{first:.3f}, {tested:.3f}, {percent(mean(some))}")
        rows.append([name, *cells])
    note = (
        "As run, ReLU is shown in the second half of its epochs, leaky ReLU is the same network "
        "as in the other column, and APL is the new network with S = 5 above. As described, only "
        "the function differs, and all three networks also have it after their dense layers. The "
        "study's table gives 60.25% for ReLU, but its log ends with 60.75%; the claims are judged "
        "by the log."
    )
    title = "Training loss of the first epoch, test loss and test accuracy of the last"
    return [Table(title, ["function", "published", *SET_UPS.values()], rows), Prose([note])]


SHAPE = "h(x) = max(0, x) + Σ_s a_s max(0, b_s − x). As run, the network has no function after its "
SHAPE += "dense layers."


def shapes(summary: Mapping[str, Any]) -> Chart:
    """The learned functions."""
    x, series = np.linspace(-3, 3, 61), []
    for key, title in SET_UPS.items():
        epochs = summary["shapes"][key]
        for place, (epoch, layers) in enumerate(epochs.items()):
            name = "at the start" if epoch == "0" else f"epoch {epoch}"
            style: dict[str, Any] = in_order(place, len(epochs)) | {"where": {"set-up": title}}
            for i, layer in enumerate(layers, 1):
                a, b = (np.array(layer[letter])[:, None] for letter in "ab")
                y = shape(a, b, x)[:, 0].tolist()
                series.append(Series(name, x.tolist(), y, panel=f"convolution {i}", **style))
    return Chart("Learned functions", f"{SHAPES}.", "x", "h(x)", series, name="shapes")


def depths(training_runs: TrainingRuns) -> Chart:
    series = [
        _by_number(f, DEPTHS, [training_runs[f"depth_{d}", f] for d in DEPTHS], function_colour(f))
        for f in FUNCTIONS
    ]
    about = "Test accuracy after the last epoch for smaller networks with 3, 5 and 7 layers."
    return Chart("Accuracy by depth", about, "layers", PER_CENT, series, name="depth")


def depth_table(training_runs: TrainingRuns) -> list[Told]:
    rows = [
        [str(d), *(percent(mean(training_runs[f"depth_{d}", name])) for name in FUNCTIONS)]
        for d in DEPTHS
    ]
    note = "The networks have 3×3 convolutions, global average pooling and one dense layer."
    title = "Test accuracy after the last epoch"
    return [Table(title, ["layers", *FUNCTIONS], rows), Prose([note])]
