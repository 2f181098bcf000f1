"""The claims of the activation study, each with the criterion that it is judged by."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from minidl.study import Evidence, Judged, Statement
from minidl.study.estimates import Estimate, exactly, over_epochs, share
from studies.activation_study.training import ACTIVATIONS, EPOCHS, PATIENCE

NONE_IS_BEST = "No activation function is the best everywhere"
PUBLISHED_FILE = Path(__file__).with_name("published.json")

Setting = tuple[str, str]  # data set, optimizer
N = TypeVar("N")  # the networks of a setting

# The number of each setting's first table and figure; that of its table of times is 4 more.
TABLES: dict[Setting, int] = {
    ("mnist", "sgd"): 1,
    ("cifar-10", "sgd"): 2,
    ("mnist", "adam"): 3,
    ("cifar-10", "adam"): 4,
}
TITLES = {"mnist": "MNIST", "cifar-10": "CIFAR-10", "sgd": "SGD", "adam": "Adam"}
THEIR_NAMES = dict(zip(ACTIVATIONS, ("Sigmoid", "ReLU", "LReLU", "ELU", "SeLU"), strict=True))

SGD_SETTINGS = [setting for setting in TABLES if setting[1] == "sgd"]
ADAM_SETTINGS = [setting for setting in TABLES if setting[1] == "adam"]


@dataclass(frozen=True)
class Series:
    """One training, as far as tables, figures and claims are about it."""

    accuracy: float  # these three on the test images
    loss: float
    f1: float
    train_loss: np.ndarray  # (epochs,) running
    validation_loss: np.ndarray  # (epochs,) after the epoch
    train_accuracy: float  # running, of the epoch whose weights are tested
    limit: int  # epochs at most
    seconds: float  # of all epochs
    gradients: Mapping[str, np.ndarray] | None = None  # ‖∂L/∂W‖ of each layer (epochs,)
    tested: int = -1  # the epoch whose weights are tested, from 0
    train_images: int = 40_000
    test_images: int = 10_000

    @property
    def epochs(self) -> int:
        return len(self.train_loss)

    @property
    def stopped(self) -> bool:
        """Whether early stopping ended it."""
        since = self.epochs - 1 - int(np.argmin(self.validation_loss))
        return self.epochs < self.limit or since >= PATIENCE

    def share(self) -> Estimate:
        """The test accuracy."""
        return share(self.accuracy, self.test_images)

    def gap(self) -> Estimate:
        """Training accuracy (running) less test accuracy."""
        return share(self.train_accuracy, self.train_images) - self.share()

    @classmethod
    def of(cls, cell: Mapping[str, Any], weights: str, limit: int) -> Series:
        """A finished cell; ``weights`` are the ``last`` or the ``best`` ones."""
        tested = cell["epochs"] if weights == "last" else cell["best_epoch"]
        return cls(
            **cell["test"][weights],
            train_loss=np.array(cell["train_loss"]),
            validation_loss=np.array(cell["validation_loss"]),
            train_accuracy=cell["train_accuracy"][tested - 1],
            limit=limit,
            seconds=sum(cell["seconds"]),
            tested=tested - 1,
            train_images=cell["images"][0],
            test_images=cell["images"][2],
            gradients={name: np.array(norms) for name, norms in cell["gradient_norms"].items()},
        )


# Of the number of epochs until early stopping: nobody knows it from one training.
EPOCHS_ERROR = PATIENCE / 2

Networks = Mapping[str, Series]  # by activation
Grid = Mapping[Setting, Networks]


def published() -> dict[Setting, dict[str, Series]]:
    """The study's figures by setting and activation: its tables, and the logs of its run."""
    study = json.loads(PUBLISHED_FILE.read_text(encoding="utf-8"))
    found: dict[Setting, dict[str, Series]] = {}
    for (data_set, optimizer), number in TABLES.items():
        logs = study["epoch_logs"][optimizer][TITLES[data_set]]
        table, times = (study[f"table_{n}"]["rows"] for n in (number, number + 4))
        found[data_set, optimizer] = {}
        for name, theirs in THEIR_NAMES.items():
            log = logs["sigmoid" if name == "sigmoid" else theirs]
            found[data_set, optimizer][name] = Series(
                accuracy=table[theirs]["Accuracy"] / 100,
                loss=table[theirs]["Loss"],
                f1=table[theirs]["F1 Score"],
                train_loss=np.array(log["train_loss"]),
                validation_loss=np.array(log["val_loss"]),
                train_accuracy=log["train_accuracy"][-1] / 100,
                limit=50,
                seconds=times["Total Time"][theirs],
                train_images=48_000 if data_set == "mnist" else 40_000,
            )
    return found


def published_title(epochs: int) -> str:
    """The study tested its networks after their last epoch only."""
    return "published" if epochs == EPOCHS else f"published, up to {EPOCHS} epochs"


def title(setting: Setting) -> str:
    return " + ".join(TITLES[part] for part in setting)


# -- what is judged in several settings -------------------------------------------------------


def judged_in(
    grid: Mapping[Setting, N], settings: Sequence[Setting], test: Callable[[N], Judged]
) -> Judged:
    """The test in those of the settings that were run, all in one."""
    found = {setting: test(grid[setting]) for setting in settings if setting in grid}
    known = {title(setting): judged for setting, judged in found.items() if judged is not None}
    if not known:
        return None
    return Evidence(
        "; ".join(f"{where}: {judged.said}" for where, judged in known.items()),
        {
            f"{where}, {name}": number
            for where, judged in known.items()
            for name, number in judged.numbers.items()
        },
    )


def beside(values: Mapping[str, float], name: str, digits: int) -> str:
    """``sigmoid 0.12, others 0.30–0.55``"""
    rest = [value for other, value in values.items() if other != name]
    return f"{name} {values[name]:.{digits}f}, others {min(rest):.{digits}f}–{max(rest):.{digits}f}"


def others_above(numbers: Mapping[str, Estimate], name: str) -> dict[str, Estimate]:
    """By how much each of the others is above that one."""
    return {f"{o} − {name}": n - numbers[name] for o, n in numbers.items() if o != name}


def others_below(numbers: Mapping[str, Estimate], name: str) -> dict[str, Estimate]:
    return {f"{name} − {o}": numbers[name] - n for o, n in numbers.items() if o != name}


def small_gradients(grid: Grid) -> Judged:
    def test(networks: Networks) -> Judged:
        sizes = {}
        for name, series in networks.items():
            if series.gradients is None:
                return None
            squares = sum(norms**2 for norms in series.gradients.values())
            sizes[name] = over_epochs(np.sqrt(squares))
        said = beside({name: size.value for name, size in sizes.items()}, "sigmoid", 3)
        return Evidence(said, others_above(sizes, "sigmoid"))

    return judged_in(grid, list(TABLES), test)


def vanishing(grid: Grid) -> Judged:
    def test(networks: Networks) -> Judged:
        ratios = {}
        for name, series in networks.items():
            if series.gradients is None:
                return None
            first, *_, last = series.gradients.values()
            ratios[name] = _median(np.divide(first, last, where=last > 0, out=0 * first + np.nan))
        said = beside({name: ratio.value for name, ratio in ratios.items()}, "sigmoid", 3)
        return Evidence(said, others_above(ratios, "sigmoid"))

    return judged_in(grid, list(TABLES), test)


def _median(series: np.ndarray) -> Estimate:
    """The median over the epochs; its error is √(π / 2) times that of a mean."""
    mean = over_epochs(series)
    return Estimate(float(np.median(series)), math.sqrt(math.pi / 2) * mean.error, mean.freedom)


def slowest(grid: Grid) -> Judged:
    def test(networks: Networks) -> Judged:
        epochs = {name: Estimate(s.epochs, EPOCHS_ERROR) for name, s in networks.items()}
        said = beside({name: n.value for name, n in epochs.items()}, "sigmoid", 0)
        return Evidence(said, others_below(epochs, "sigmoid"))

    return judged_in(grid, list(TABLES), test)


def overfits(grid: Grid) -> Judged:
    def test(networks: Networks) -> Judged:
        relu, sigmoid = (networks[name] for name in ("relu", "sigmoid"))
        gaps = [100 * (series.train_accuracy - series.accuracy) for series in (relu, sigmoid)]
        return Evidence(
            f"ReLU {gaps[0]:+.1f}, sigmoid {gaps[1]:+.1f} points",
            {"ReLU's − sigmoid's": 100 * (relu.gap() - sigmoid.gap())},
        )

    return judged_in(grid, ADAM_SETTINGS, test)


def _points(networks: Networks) -> dict[str, Estimate]:
    """Test accuracy in %."""
    return {name: 100 * series.share() for name, series in networks.items()}


def relu_last(grid: Grid) -> Judged:
    def test(networks: Networks) -> Judged:
        accuracy = {name: 100 * series.accuracy for name, series in networks.items()}
        return Evidence(beside(accuracy, "relu", 2), others_above(_points(networks), "relu"))

    return judged_in(grid, ADAM_SETTINGS, test)


def underfitted(grid: Grid) -> Judged:
    def test(networks: Networks) -> Judged:
        through = [name for name, series in networks.items() if not series.stopped]
        left = {
            f"epochs left to {name}": Estimate(series.limit - series.epochs, EPOCHS_ERROR)
            for name, series in networks.items()
            if name != "sigmoid"
        }
        went_on = {"sigmoid never stopped": exactly("sigmoid" in through)}
        return Evidence(f"never stopped: {', '.join(through) or 'none'}", went_on | left)

    return judged_in(grid, SGD_SETTINGS, test)


def losses(networks: Networks) -> dict[str, Estimate]:
    """Test losses, as uncertain as they scatter about the validation losses of the same weights.

    Both are means over other images, drawn alike; what all networks have in common cancels.
    """
    above = [s.loss - float(s.validation_loss[s.tested]) for s in networks.values()]
    error = float(np.std(above, ddof=1))
    return {name: Estimate(s.loss, error, len(above) - 1) for name, s in networks.items()}


def lowest_loss(names: Sequence[str], settings: Sequence[Setting]) -> Callable[[Grid], Judged]:
    """Whether the losses of these networks are below those of all others."""

    def test(networks: Networks) -> Judged:
        found = losses(networks)
        order = sorted(found, key=lambda name: found[name].value)
        said = ", ".join(f"{name} {found[name].value:.3f}" for name in order)
        pairs = [(name, other) for name in names for other in found if other not in names]
        return Evidence(said, {f"{o} − {name}": found[o] - found[name] for name, o in pairs})

    return lambda grid: judged_in(grid, settings, test)


def elu_first(grid: Grid) -> Judged:
    def test(networks: Networks) -> Judged:
        accuracy = {name: 100 * series.accuracy for name, series in networks.items()}
        return Evidence(beside(accuracy, "elu", 2), others_below(_points(networks), "elu"))

    return judged_in(grid, [("cifar-10", "sgd"), ("cifar-10", "adam")], test)


def none_is_best(grid: Grid) -> Judged:
    """By how much the function that comes closest to being best everywhere is behind somewhere."""
    if len(grid) < 2:
        return None
    points = {setting: _points(networks) for setting, networks in grid.items()}
    best = {s: max(each, key=lambda name: each[name].value) for s, each in points.items()}

    def behind(name: str) -> tuple[Estimate, Setting]:
        gaps = [(each[best_of(each, name)] - each[name], s) for s, each in points.items()]
        return max(gaps, key=lambda gap: gap[0].value)

    def best_of(each: Mapping[str, Estimate], name: str) -> str:
        return max((n for n in each if n != name), key=lambda n: each[n].value)

    closest = min(ACTIVATIONS, key=lambda name: behind(name)[0].value)
    number, setting = behind(closest)
    return Evidence(
        "; ".join(f"{title(setting)}: {name}" for setting, name in best.items()),
        {f"points that {closest} is behind on {title(setting)}": number},
        together=len(grid) * len(ACTIVATIONS),
    )


CLAIMS: list[Statement[Grid]] = [
    Statement(
        "Sigmoid's gradients are close to 0 compared with those of the others",
        "the L2 norm of the gradient of all weights, averaged over the epochs, is the smallest "
        "in every setting",
        small_gradients,
        "Sigmoid's slope is at most 1/4, once for each of four layers that the gradient "
        "passes. But a norm falls, too, as a network learns its training images, and one "
        "batch at the end of an epoch is a noisy measure.",
    ),
    Statement(
        "Sigmoid is vulnerable to vanishing gradients",
        "the first layer's gradient norm divided by the last layer's (median over the epochs) is "
        "the smallest in every setting",
        vanishing,
        "A ratio is judged, not a size: where the first layer's gradient is as large as the "
        "last layer's, nothing vanishes, whatever the other functions have.",
    ),
    Statement(
        "Sigmoid converges slowly: it takes the most epochs",
        "more epochs than each of the others in every setting; early stopping waits 5 epochs, and "
        "half of that is taken as the standard error of a number of epochs",
        slowest,
        "A step of SGD is as long as the gradient is large. Adam's steps hardly depend on its "
        "size, so small gradients alone do not explain what happens there.",
    ),
    Statement(
        "ReLU overfits more easily than sigmoid",
        "with Adam, training accuracy (running, in the epoch tested) minus test accuracy is "
        "larger than sigmoid's on both data sets",
        overfits,
    ),
    Statement(
        "With Adam, ReLU has the lowest test accuracy",
        "lowest of the five on both data sets",
        relu_last,
        "The published distance of ReLU from the next is 0.01 points on MNIST and 0.06 points "
        "on CIFAR-10: one image and six images of 10,000.",
    ),
    Statement(
        "With SGD, sigmoid is underfitted: training ends before early stopping",
        "on both data sets sigmoid, and no other, goes through all epochs without a stop",
        underfitted,
    ),
    Statement(
        "With Adam, sigmoid has the lowest test loss",
        "lowest of the five on both data sets; a test loss is as uncertain as the five scatter "
        "about the validation losses of the same weights",
        lowest_loss(["sigmoid"], ADAM_SETTINGS),
        "Early stopping ends a training five epochs after its best one, and in the meantime "
        "the loss of those that learn fast can rise; the study presumes the initial weights. "
        "The column of the best weights shows what remains.",
    ),
    Statement(
        "With SGD, SELU and ELU have the lowest test losses",
        "both below the three others on both data sets; uncertain as above",
        lowest_loss(["elu", "selu"], SGD_SETTINGS),
    ),
    Statement(
        "On CIFAR-10, ELU has the best test accuracy",
        "highest of the five with both optimizers",
        elu_first,
    ),
    Statement(
        NONE_IS_BEST,
        "not the same one has the highest test accuracy in every setting: the one that comes "
        "closest to it is behind in one of them",
        none_is_best,
        "With five functions that lie close, chance alone puts different ones first.",
    ),
]
