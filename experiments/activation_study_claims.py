"""The claims of the activation study, each with the criterion that it is judged by."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from activation_study_training import ACTIVATIONS, PATIENCE

from minidl.reporting import Judged

PUBLISHED_FILE = Path(__file__).parent / "published" / "activation_study_cnn.json"

Setting = tuple[str, str]  # data set, optimizer

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

    @property
    def epochs(self) -> int:
        return len(self.train_loss)

    @property
    def stopped(self) -> bool:
        """Whether early stopping ended it."""
        since = self.epochs - 1 - int(np.argmin(self.validation_loss))
        return self.epochs < self.limit or since >= PATIENCE

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
            gradients={name: np.array(norms) for name, norms in cell["gradient_norms"].items()},
        )


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
            )
    return found


def title(setting: Setting) -> str:
    return " + ".join(TITLES[part] for part in setting)


# -- what is judged in several settings -------------------------------------------------------


def judged_in(
    grid: Grid, settings: Sequence[Setting], test: Callable[[Networks], Judged]
) -> Judged:
    """The test in those of the settings that were run; it holds if it does in each."""
    found = []
    for setting in settings:
        judged = test(grid[setting]) if setting in grid else None
        if judged is not None:
            found.append((f"{title(setting)}: {judged[0]}", judged[1]))
    if not found:
        return None
    return "; ".join(said for said, _ in found), all(holds for _, holds in found)


def first(values: Mapping[str, float], *, largest: bool) -> list[str]:
    """The names in the order of their values, the largest or the smallest first."""
    return sorted(values, key=lambda name: values[name], reverse=largest)


def beside(values: Mapping[str, float], name: str, digits: int) -> str:
    """``sigmoid 0.12, others 0.30–0.55``"""
    rest = [value for other, value in values.items() if other != name]
    return f"{name} {values[name]:.{digits}f}, others {min(rest):.{digits}f}–{max(rest):.{digits}f}"


def small_gradients(grid: Grid) -> Judged:
    def test(networks: Networks) -> Judged:
        sizes = {}
        for name, series in networks.items():
            if series.gradients is None:
                return None
            squares = sum(norms**2 for norms in series.gradients.values())
            sizes[name] = float(np.mean(np.sqrt(squares)))
        return beside(sizes, "sigmoid", 3), first(sizes, largest=False)[0] == "sigmoid"

    return judged_in(grid, list(TABLES), test)


def vanishing(grid: Grid) -> Judged:
    def test(networks: Networks) -> Judged:
        ratios = {}
        for name, series in networks.items():
            if series.gradients is None:
                return None
            norms = list(series.gradients.values())
            ratios[name] = float(np.median(norms[0] / norms[-1]))
        return beside(ratios, "sigmoid", 3), first(ratios, largest=False)[0] == "sigmoid"

    return judged_in(grid, list(TABLES), test)


def slowest(grid: Grid) -> Judged:
    def test(networks: Networks) -> Judged:
        epochs = {name: float(series.epochs) for name, series in networks.items()}
        others = max(n for name, n in epochs.items() if name != "sigmoid")
        return beside(epochs, "sigmoid", 0), epochs["sigmoid"] > others

    return judged_in(grid, list(TABLES), test)


def overfits(grid: Grid) -> Judged:
    def test(networks: Networks) -> Judged:
        gaps = {
            name: 100 * (networks[name].train_accuracy - networks[name].accuracy)
            for name in ("relu", "sigmoid")
        }
        return (
            f"ReLU {gaps['relu']:+.1f}, sigmoid {gaps['sigmoid']:+.1f} points",
            gaps["relu"] > gaps["sigmoid"],
        )

    return judged_in(grid, ADAM_SETTINGS, test)


def relu_last(grid: Grid) -> Judged:
    def test(networks: Networks) -> Judged:
        accuracy = {name: 100 * series.accuracy for name, series in networks.items()}
        return beside(accuracy, "relu", 2), first(accuracy, largest=False)[0] == "relu"

    return judged_in(grid, ADAM_SETTINGS, test)


def underfitted(grid: Grid) -> Judged:
    def test(networks: Networks) -> Judged:
        through = [name for name, series in networks.items() if not series.stopped]
        names = ", ".join(through) or "none"
        return f"never stopped: {names}", through == ["sigmoid"]

    return judged_in(grid, SGD_SETTINGS, test)


def lowest_loss(names: Sequence[str], settings: Sequence[Setting]) -> Callable[[Grid], Judged]:
    """Whether the losses of these networks are below those of all others."""

    def test(networks: Networks) -> Judged:
        losses = {name: series.loss for name, series in networks.items()}
        order = first(losses, largest=False)
        said = ", ".join(f"{name} {losses[name]:.3f}" for name in order)
        return said, set(order[: len(names)]) == set(names)

    return lambda grid: judged_in(grid, settings, test)


def elu_first(grid: Grid) -> Judged:
    def test(networks: Networks) -> Judged:
        accuracy = {name: 100 * series.accuracy for name, series in networks.items()}
        return beside(accuracy, "elu", 2), first(accuracy, largest=True)[0] == "elu"

    return judged_in(grid, [("cifar-10", "sgd"), ("cifar-10", "adam")], test)


def none_is_best(grid: Grid) -> Judged:
    if len(grid) < 2:
        return None
    best = {
        title(setting): first({n: s.accuracy for n, s in networks.items()}, largest=True)[0]
        for setting, networks in grid.items()
    }
    said = "; ".join(f"{where}: {name}" for where, name in best.items())
    return said, len(set(best.values())) > 1


# What the study says; how it is judged; the figures.
CLAIMS: list[tuple[str, str, Callable[[Grid], Judged]]] = [
    (
        "Sigmoid's gradients are close to 0 compared with those of the others",
        "the L2 norm of the gradient of all weights, averaged over the epochs, is the smallest "
        "in every setting",
        small_gradients,
    ),
    (
        "Sigmoid is vulnerable to vanishing gradients",
        "the first layer's gradient norm divided by the last layer's (median over the epochs) is "
        "the smallest in every setting",
        vanishing,
    ),
    (
        "Sigmoid converges slowly: it takes the most epochs",
        "more epochs than each of the others in every setting",
        slowest,
    ),
    (
        "ReLU overfits more easily than sigmoid",
        "with Adam, training accuracy (running, in the epoch tested) minus test accuracy is "
        "larger than sigmoid's on both data sets",
        overfits,
    ),
    (
        "With Adam, ReLU has the lowest test accuracy",
        "lowest of the five on both data sets",
        relu_last,
    ),
    (
        "With SGD, sigmoid is underfitted: training ends before early stopping",
        "on both data sets sigmoid, and no other, goes through all epochs without a stop",
        underfitted,
    ),
    (
        "With Adam, sigmoid has the lowest test loss",
        "lowest of the five on both data sets",
        lowest_loss(["sigmoid"], ADAM_SETTINGS),
    ),
    (
        "With SGD, SELU and ELU have the lowest test losses",
        "both below the three others on both data sets",
        lowest_loss(["elu", "selu"], SGD_SETTINGS),
    ),
    (
        "On CIFAR-10, ELU has the best test accuracy",
        "highest of the five with both optimizers",
        elu_first,
    ),
    (
        "No activation function is the best everywhere",
        "not the same one has the highest test accuracy in every setting",
        none_is_best,
    ),
]

# Why it comes out so; of the claims that the run with Adam says something about.
REASONS = {
    0: "Sigmoid's slope is at most 1/4, once for each of four layers that the gradient passes. But "
    "the others' norms fall as they learn their training images: on MNIST they come down to "
    "sigmoid's size. And one batch at the end of an epoch is a noisy measure.",
    1: "It depends on the optimizer. With SGD sigmoid's first layer has a gradient far below that "
    "of its last one, and on CIFAR-10 the network hardly learns; with Adam it leaves that place, "
    "and the first layer's is about as large as the last one's, or larger: nothing vanishes.",
    2: "With SGD because of the small gradients. Adam's steps hardly depend on their size, so "
    "their smallness alone does not explain what happens there.",
    4: "The published distance of ReLU from the next is 0.01 points on MNIST and 0.06 points on "
    "CIFAR-10: one image and six images of 10,000.",
    6: "Early stopping at work, not the initial weights as the study presumes: the networks are "
    "tested five epochs after their best one, and the loss of those that learn fast rises in the "
    "meantime. The columns of the best weights show what remains.",
    9: "With five functions this close, chance alone would put different ones first.",
}
