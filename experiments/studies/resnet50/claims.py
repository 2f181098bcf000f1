"""The claims about ResNet-50, each with the criterion that it is judged by."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from minidl.study import Evidence, NotJudged, Statement
from minidl.study.claims import known
from minidl.study.estimates import Bounded, Estimate, over_epochs, over_seeds, share
from studies.activation_study.claims import EPOCHS_ERROR, judged_in, unless_capped
from studies.activation_study.series import Setting, published_cells, title
from studies.activation_study.training import out_of_patience
from studies.resnet50.training import COLLAPSES

# The number of each setting's table; that of its table of times is 4 more.
TABLES: dict[Setting, int] = {
    ("mnist", "sgd"): 9,
    ("cifar-10", "sgd"): 10,
    ("mnist", "adam"): 11,
    ("cifar-10", "adam"): 12,
}
MNIST, CIFAR = ([s for s in TABLES if s[0] == name] for name in ("mnist", "cifar-10"))
VANISHED = 0.1  # of the last stage's gradient, below which the first convolution's has vanished
LOSS, TIMES = 1, 4  # validation loss, also in training losses, above which evaluation collapsed
FAR = 10  # points of accuracy

VANISHES = "With Adam on MNIST, gradients vanish with various activation functions"
SEEDS = "Beyond the study: with Adam on MNIST, functions differ by more than seeds do"

Block = Mapping[str, Any]  # one training run, as it is in a summary
Networks = Mapping[str, Sequence[Block]]  # by function: a block for each seed


@dataclass(frozen=True)
class Figures:
    """One set-up of a run, or the published one."""

    grid: Mapping[Setting, Networks]
    weights: str  # that are tested: the "last" or the "best" ones
    forgetful: Sequence[Block] = ()  # the same networks with other momenta of the statistics


def published() -> Figures:
    """The study's figures: its tables, and the logs of its run."""
    grid: dict[Setting, dict[str, list[Block]]] = {setting: {} for setting in TABLES}
    for setting, name, cell in published_cells(__file__, TABLES):
        grid[setting][name] = [cell]
    return Figures(grid, "last")


# -- criteria ----------------------------------------------------------------------------------


def of_seeds(
    networks: Networks, better: str, worse: str, number: Callable[[Block], Estimate]
) -> Estimate:
    """How far a figure of one function is above that of another, over the seeds of both."""
    pairs = zip(networks[better], networks[worse], strict=False)
    return over_seeds([number(a) - number(b) for a, b in pairs])


def ahead(names: Sequence[str], settings: Sequence[Setting]) -> Callable[[Figures], Evidence]:
    """Whether the test accuracy of these functions is above that of the others."""

    def judged(figures: Figures) -> Evidence:
        def points(block: Block) -> Estimate:
            tested, images = block["test"][figures.weights], block["images"][2]
            return 100 * share(tested["accuracy"], images, tested.get("correct", ""))

        def test(networks: Networks) -> Evidence:
            found = {f: 100 * _tested(blocks[0], figures) for f, blocks in networks.items()}
            order = sorted(found, key=lambda f: -found[f])
            pairs = [(a, b) for a in names for b in networks if b not in names]
            numbers = {f"{a} − {b}": of_seeds(networks, a, b, points) for a, b in pairs}
            return Evidence(", ".join(f"{f} {found[f]:.2f}" for f in order), numbers)

        return judged_in(figures.grid, settings, test)

    return judged


def _tested(block: Block, figures: Figures) -> float:
    return float(block["test"][figures.weights]["accuracy"])


def slower(
    slow: Sequence[str], fast: Sequence[str], settings: Sequence[Setting]
) -> Callable[[Figures], Evidence]:
    """Whether early stopping ended the ``slow`` functions after more epochs than the ``fast``."""

    def epochs(block: Block) -> Estimate:
        return Estimate(block["epochs"], EPOCHS_ERROR)

    def test(networks: Networks) -> Evidence:
        said = ", ".join(f"{f} {blocks[0]['epochs']}" for f, blocks in networks.items())
        pairs = [(a, b) for a in slow for b in fast]
        return Evidence(said, {f"{a} − {b}": of_seeds(networks, a, b, epochs) for a, b in pairs})

    def judged(figures: Figures) -> Evidence:
        stopped = [
            tuple(out_of_patience(block["validation_loss"]) for block in seed)
            for setting in settings
            for a, b in product(slow, fast)
            for networks in (figures.grid.get(setting, {}),)
            for seed in zip(networks.get(a, ()), networks.get(b, ()), strict=False)
        ]
        return unless_capped(judged_in(figures.grid, settings, test), stopped)

    return judged


def decades(block: Block) -> np.ndarray:
    """log₁₀ of the first convolution's gradient over the last stage's, by epoch."""
    norms = np.array(known(block.get("gradients")), float)  # (epochs, stages)
    with np.errstate(all="ignore"):  # where nothing arrives
        return np.log10(norms[:, 0] / norms[:, -1])


def vanish(figures: Figures) -> Evidence:
    """By the function with the second smallest gradient: "various" means at least two."""
    networks = known(figures.grid.get(COLLAPSES))
    found = {
        f: over_seeds([over_epochs(decades(block)) for block in blocks])
        for f, blocks in networks.items()
    }
    second = sorted(found, key=lambda f: found[f].value)[1]
    said = ", ".join(f"{f} {10**number.value:.1f}" for f, number in found.items())
    name = f"{second}, decades below {VANISHED}"
    return Evidence(said, {name: math.log10(VANISHED) - found[second]}, together=len(found))


def collapsed(block: Block) -> np.ndarray:
    """The epochs in which a network that has learned is evaluated as if it had not."""
    train, validation = (np.array(block[f"{part}_loss"], float) for part in ("train", "validation"))
    return (validation > LOSS) & (validation > TIMES * train)


def adams(figures: Figures) -> Evidence:
    shares, said = {}, []
    for setting in MNIST:
        blocks = known([b for some in figures.grid.get(setting, {}).values() for b in some])
        epochs = np.concatenate([collapsed(block) for block in blocks])
        shares[setting[1]] = share(float(epochs.mean()), len(epochs))
        said.append(f"{title(setting)}: {epochs.sum()} of {len(epochs)} epochs")
    return Evidence("; ".join(said), {"Adam's share − SGD's": shares["adam"] - shares["sgd"]})


def worst(blocks: Sequence[Block]) -> tuple[Block, int]:
    """The training run and the epoch, counted from 0, in which the two accuracies differ most."""
    far = [np.array(b["batch_accuracy"], float) - b["validation_accuracy"] for b in blocks]
    one = max(range(len(blocks)), key=lambda i: np.nanmax(far[i], initial=-math.inf))
    return blocks[one], int(np.argmax(np.nan_to_num(far[one], nan=-math.inf)))


def by_statistics(figures: Figures) -> Evidence:
    block, epoch = worst(known(figures.forgetful))
    kinds = ("batch_accuracy", "validation_accuracy")
    batch, running = (share(block[kind][epoch], block["images"][1]) for kind in kinds)
    said = (
        f"momentum {block['momentum']:g}, epoch {epoch + 1}: {100 * block[kinds[1]][epoch]:.1f} "
        f"with running statistics, {100 * block[kinds[0]][epoch]:.1f} with the batch's"
    )
    looked_at = sum(len(one["batch_accuracy"]) for one in figures.forgetful)
    return Evidence(
        said, {f"points beyond {FAR}": 100 * (batch - running) - FAR}, together=looked_at
    )


@dataclass(frozen=True)
class Spread:
    """Standard deviations of test accuracies in points, and F of a one-way analysis of variance."""

    functions: float  # of the functions' means
    seeds: float  # of a function's seeds, over all functions
    ratio: float  # F

    @classmethod
    def of(cls, accuracies: np.ndarray) -> Spread:
        """Of ``accuracies`` (functions, seeds), shares."""
        n = accuracies.shape[1]
        between = 100 * float(accuracies.mean(axis=1).std(ddof=1))
        within = 100 * math.sqrt(float(accuracies.var(axis=1, ddof=1).mean()))
        return cls(between, within, n * between**2 / within**2 if within else math.nan)


@dataclass(frozen=True)
class VarianceRatio(Bounded):
    """ln F of two variances, of the ``count`` cases' groups and within these.

    F of equal variances is as skewed as its distribution says.
    """

    between: int = 1  # degrees of freedom, of ``count`` − 1 in all

    def interval(self, tail: float) -> tuple[float, float]:
        from scipy import stats

        by_chance = stats.f(self.between, self.count - 1 - self.between)
        return (
            self.value - math.log(by_chance.isf(tail)),
            self.value - math.log(by_chance.ppf(tail)),
        )


def spread(figures: Figures) -> Evidence:
    networks = figures.grid.get(COLLAPSES, {})
    seeds = min(map(len, networks.values()), default=0)
    if seeds < 2:
        raise NotJudged
    found = Spread.of(np.array([[_tested(b, figures) for b in s] for s in networks.values()]))
    k, known = len(networks), 0 < found.ratio < math.inf  # not NaN
    ratio = VarianceRatio(math.log(found.ratio) if known else math.nan, k * seeds, between=k - 1)
    number = Estimate(ratio.value, 0.0, bounded=(ratio,))
    said = f"standard deviation between functions {found.functions:.1f} points, between "
    return Evidence(f"{said}{seeds} seeds {found.seeds:.1f}", {"ln F": number})


LIMITED = "; half of early stopping's patience is taken as the standard error of a number of epochs"
CLAIMS: list[Statement[Figures]] = [
    Statement(
        VANISHES,
        "norm of the gradient of the first convolution over that of all convolutions of the last "
        f"stage, geometric mean over the epochs: below {VANISHED} with at least two functions",
        vanish,
        "What the study observed is a test accuracy of 10.6% with ReLU and 50.7% with sigmoid. A "
        "vanishing gradient would keep a network from learning its training images; by the study's "
        "logs, 97% of them are recognised in the same epochs.",
    ),
    Statement(
        "The failure comes from Adam: with SGD, it does not happen on MNIST",
        f"epochs that end with a validation loss above {LOSS} that is more than {TIMES} times the "
        "training loss: their share is larger with Adam",
        adams,
    ),
    Statement(
        "On MNIST, sigmoid and ReLU converge quickly and ELU very slowly",
        f"ELU takes more epochs than both, with both optimizers{LIMITED}",
        slower(["elu"], ["sigmoid", "relu"], MNIST),
        "Early stopping ends a training run that collapses; that is why sigmoid and ReLU took few "
        "epochs with Adam.",
    ),
    Statement(
        "Sigmoid and ReLU perform better on simple data such as MNIST",
        "test accuracy of both above that of each other function, with both optimizers",
        ahead(["sigmoid", "relu"], MNIST),
        "The study concludes this from the numbers of epochs; its accuracies say the opposite.",
    ),
    Statement(
        "On CIFAR-10, ELU and SELU converge particularly rapidly",
        f"each other function takes more epochs, with both optimizers{LIMITED}",
        slower(["sigmoid", "relu", "leaky_relu"], ["elu", "selu"], CIFAR),
    ),
    Statement(
        "ELU and SELU perform better on complex data such as CIFAR-10",
        "test accuracy of both above that of each other function, with both optimizers",
        ahead(["elu", "selu"], CIFAR),
    ),
    Statement(
        "Beyond the study: running statistics alone make a trained network fail",
        "the ReLU network trained again with other momenta of its running statistics, which do not "
        "affect its weights: in some epoch, validation accuracy is more than "
        f"{FAR} points lower with these than with the statistics of the batch",
        by_statistics,
        "In training, BatchNorm uses the statistics of the batch; in evaluation, the running ones. "
        "The momentum determines how many steps these lag behind.",
    ),
    Statement(
        SEEDS,
        "test accuracy: ln F is above 0, F being the variance of the functions' means times the "
        "number of seeds over the variance between seeds; the interval is that of the F "
        "distribution",
        spread,
        "As run, only one activation function of 49 differs.",
    ),
]
