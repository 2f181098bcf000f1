"""The claims of the activation study, each with the criterion that it is judged by."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

import numpy as np

from minidl.study import Evidence, NotJudged, Statement
from minidl.study.claims import all_of, known
from minidl.study.estimates import Estimate, exactly, over_epochs, ratio_over_epochs
from studies.activation_study.series import TABLES, Grid, Networks, Setting, title
from studies.activation_study.training import ACTIVATIONS, PATIENCE

NONE_IS_BEST = "No activation function is the best everywhere"
# Of the number of epochs until early stopping: one training run does not show it.
EPOCHS_ERROR = PATIENCE / 2
CAP = "the largest number of epochs ended two training runs that early stopping would compare"
SGD_SETTINGS = [setting for setting in TABLES if setting[1] == "sgd"]
ADAM_SETTINGS = [setting for setting in TABLES if setting[1] == "adam"]
N = TypeVar("N")  # the networks of a setting


# -- what is judged in several settings -------------------------------------------------------


def judged_in(
    grid: Mapping[Setting, N], settings: Sequence[Setting], test: Callable[[N], Evidence]
) -> Evidence:
    """The test in each of the settings that were run, as one."""
    return all_of({title(setting): test(grid[setting]) for setting in settings if setting in grid})


def in_settings(
    settings: Sequence[Setting],
) -> Callable[[Callable[[Networks], Evidence]], Callable[[Grid], Evidence]]:
    """Turn a criterion for one setting into one for all of ``settings`` that were run."""
    return lambda test: lambda grid: judged_in(grid, settings, test)


def extreme(
    name: str,
    numbers: Mapping[str, Estimate],
    digits: int,
    shown: Mapping[str, float] | None = None,
    highest: bool = False,
    sign: str = "−",
) -> Evidence:
    """Whether a function's number is the lowest or highest: ``sigmoid 0.12, others 0.30–0.55``."""
    shown = shown or {f: number.value for f, number in numbers.items()}
    others = [f for f in numbers if f != name]
    low, high = (f"{end(shown[f] for f in others):.{digits}f}" for end in (min, max))
    pairs = [(name, other) if highest else (other, name) for other in others]
    return Evidence(
        f"{name} {shown[name]:.{digits}f}, others {low}–{high}",
        {f"{a} {sign} {b}": numbers[a] - numbers[b] for a, b in pairs},
    )


@in_settings(list(TABLES))
def small_gradients(networks: Networks) -> Evidence:
    sizes = {
        name: over_epochs(np.sqrt(sum(norms**2 for norms in known(series.gradients).values())))
        for name, series in networks.items()
    }
    return extreme("sigmoid", sizes, 3)


@in_settings(list(TABLES))
def vanishing(networks: Networks) -> Evidence:
    ratios = {}
    for name, series in networks.items():
        first, *_, last = known(series.gradients).values()
        with np.errstate(all="ignore"):  # where nothing arrives
            ratios[name] = ratio_over_epochs(first / last)
    shown = {name: math.exp(ratio.value) for name, ratio in ratios.items()}
    return extreme("sigmoid", ratios, 3, shown, sign="/")


def unless_capped(found: Evidence, stopped: Iterable[Iterable[bool]]) -> Evidence:
    """``found``, if of each two networks that are compared, early stopping has stopped one.

    Raises
    ------
    NotJudged
        if both of two trained for as many epochs as they could: which of them needs more?
    """
    if not all(map(any, stopped)):
        raise NotJudged(CAP, found.said)
    return found


def slowest(grid: Grid) -> Evidence:
    def test(networks: Networks) -> Evidence:
        epochs = {name: Estimate(series.epochs, EPOCHS_ERROR) for name, series in networks.items()}
        return extreme("sigmoid", epochs, 0, highest=True)

    stopped = [
        (networks["sigmoid"].stopped, series.stopped)
        for networks in grid.values()
        for name, series in networks.items()
        if name != "sigmoid"
    ]
    return unless_capped(judged_in(grid, list(TABLES), test), stopped)


@in_settings(ADAM_SETTINGS)
def overfits(networks: Networks) -> Evidence:
    relu, sigmoid = (networks[name] for name in ("relu", "sigmoid"))
    gaps = [100 * (series.train_accuracy - series.accuracy) for series in (relu, sigmoid)]
    return Evidence(
        f"ReLU {gaps[0]:+.1f}, sigmoid {gaps[1]:+.1f} points",
        {"ReLU's − sigmoid's": 100 * (relu.gap() - sigmoid.gap())},
    )


def _points(networks: Networks) -> dict[str, Estimate]:
    """Test accuracy in %."""
    return {name: 100 * series.share() for name, series in networks.items()}


def _accuracy(networks: Networks) -> dict[str, float]:
    return {name: 100 * series.accuracy for name, series in networks.items()}


@in_settings(ADAM_SETTINGS)
def relu_last(networks: Networks) -> Evidence:
    return extreme("relu", _points(networks), 2, _accuracy(networks))


@in_settings([setting for setting in TABLES if setting[0] == "cifar-10"])
def elu_first(networks: Networks) -> Evidence:
    return extreme("elu", _points(networks), 2, _accuracy(networks), highest=True)


@in_settings(SGD_SETTINGS)
def underfitted(networks: Networks) -> Evidence:
    through = [name for name, series in networks.items() if not series.stopped]
    left = {
        f"epochs left for {name}": Estimate(series.limit - series.epochs, EPOCHS_ERROR)
        for name, series in networks.items()
        if name != "sigmoid"
    }
    went_on = {"sigmoid never stopped": exactly("sigmoid" in through)}
    return Evidence(f"never stopped: {', '.join(through) or 'none'}", went_on | left)


def losses(networks: Networks) -> dict[str, Estimate]:
    """Test losses; their error is their scatter about the validation losses of the same weights.

    The two are means over different images, drawn alike; what all networks share cancels.
    """
    above = [s.loss - float(s.validation_loss[s.tested]) for s in networks.values()]
    error = float(np.std(above, ddof=1))
    return {name: Estimate(s.loss, error, len(above) - 1) for name, s in networks.items()}


def lowest_loss(names: Sequence[str], settings: Sequence[Setting]) -> Callable[[Grid], Evidence]:
    """Whether the losses of these networks are below those of all others."""

    @in_settings(settings)
    def test(networks: Networks) -> Evidence:
        found = losses(networks)
        order = sorted(found, key=lambda name: found[name].value)
        said = ", ".join(f"{name} {found[name].value:.3f}" for name in order)
        pairs = [(name, other) for name in names for other in found if other not in names]
        return Evidence(said, {f"{o} − {name}": found[o] - found[name] for name, o in pairs})

    return test


def none_is_best(grid: Grid) -> Evidence:
    """How far the function that comes closest to being best everywhere is behind somewhere."""
    if len(grid) < 2:
        raise NotJudged
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
        {f"points by which {closest} is behind on {title(setting)}": number},
        together=len(grid) * len(ACTIVATIONS),
    )


CLAIMS: list[Statement[Grid]] = [
    Statement(
        "Sigmoid's gradients are close to 0 compared with those of the others",
        "sigmoid's L2 norm of the gradient of all weights, averaged over the epochs, is the "
        "smallest in every setting",
        small_gradients,
        "Sigmoid's slope is at most 1/4 in each of the four layers that the gradient passes. But a "
        "norm also falls as a network learns its training images, and one batch at the end of an "
        "epoch is a noisy measure.",
    ),
    Statement(
        "Sigmoid is vulnerable to vanishing gradients",
        "sigmoid's ratio of the first layer's gradient norm to the last layer's (geometric mean "
        "over the epochs) is the smallest in every setting",
        vanishing,
        "A ratio is judged, not a size: where the first layer's gradient is as large as the last "
        "layer's, nothing vanishes, whatever the ratios of the other functions.",
    ),
    Statement(
        "Sigmoid converges slowly: it takes the most epochs",
        "more epochs than each of the others in every setting; early stopping waits 5 epochs, and "
        "half of that is taken as the standard error of a number of epochs",
        slowest,
        "A step of SGD is proportional to the gradient. Adam's steps hardly depend on its size, so "
        "small gradients alone do not explain slow convergence there.",
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
        "The published distance between ReLU and the next function is 0.01 points on MNIST and "
        "0.06 points on CIFAR-10: one image and six images of 10,000.",
    ),
    Statement(
        "With SGD, sigmoid is underfitted: training ends before early stopping",
        "on both data sets, sigmoid and no other function trains for all epochs without early "
        "stopping",
        underfitted,
    ),
    Statement(
        "With Adam, sigmoid has the lowest test loss",
        "lowest of the five on both data sets; the error of a test loss is the scatter of the five "
        "about the validation losses of the same weights",
        lowest_loss(["sigmoid"], ADAM_SETTINGS),
        "Early stopping ends a training run five epochs after its best one, and in the meantime "
        "the loss of a network that learns fast can rise; the study suspects the initial weights. "
        "The column for the best weights shows what remains of the difference.",
    ),
    Statement(
        "With SGD, SELU and ELU have the lowest test losses",
        "both below the three others on both data sets; errors as above",
        lowest_loss(["elu", "selu"], SGD_SETTINGS),
    ),
    Statement(
        "On CIFAR-10, ELU has the best test accuracy",
        "highest of the five with both optimizers",
        elu_first,
    ),
    Statement(
        NONE_IS_BEST,
        "no function has the highest test accuracy in every setting: even the one that comes "
        "closest is behind in one of them",
        none_is_best,
        "Among five functions that are close together, chance alone can put different ones first.",
    ),
]
