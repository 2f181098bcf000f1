"""The claims of the study of adaptive activation functions, and how each is judged."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minidl.study import Evidence, NotJudged, Statement
from minidl.study.claims import known
from minidl.study.estimates import Estimate, at_the_start, share
from minidl.study.pairs import MACHINE
from minidl.study.tables import p_figure
from studies.adaptive_activations.series import Figures, last, shape
from studies.adaptive_activations.training import FUNCTIONS

HINGES_MATTER = "The number of hinges S matters"
ABOVE_RELU = "APL is more accurate than ReLU"
LEFT = -2  # where the left side of a learned function is evaluated
MANY, FEW = 10, 1  # hinges


def ahead(group: str, more: Any, less: Any) -> Callable[[Figures], Evidence]:
    """Whether ``more`` is more accurate than ``less``, two of ``hinges`` or of ``functions``."""

    def test(figures: Figures) -> Evidence:
        networks = known(getattr(figures, group))
        a, b = networks[more], networks[less]
        said = f"{last(a):.4f} against {last(b):.4f}"
        return Evidence(said, {"difference": a.accuracy() - b.accuracy()})

    return test


def no_linear_relation(figures: Figures) -> Evidence:
    """Fisher's z of Pearson's r."""
    from scipy.stats import pearsonr

    accuracy = [last(series) for series in figures.hinges.values()]
    if len(accuracy) < 4 or np.ptp(accuracy) == 0:
        raise NotJudged
    found = pearsonr(list(figures.hinges), accuracy)
    z = math.atanh(min(max(float(found.statistic), -1 + 1e-12), 1 - 1e-12))
    said = f"r = {found.statistic:+.2f}, p = {p_figure(float(found.pvalue))}"
    return Evidence(said, {"−artanh r": Estimate(-z, 1 / math.sqrt(len(accuracy) - 3))})


# -- APL, ReLU, leaky ReLU --------------------------------------------------------------------


def leaky_between(figures: Figures) -> Evidence:
    networks = [figures.functions[name] for name in FUNCTIONS]
    apl, relu, leaky = (series.accuracy() for series in networks)
    tested = [last(series) for series in networks]
    said = f"ReLU {tested[1]:.4f}, leaky {tested[2]:.4f}, APL {tested[0]:.4f}"
    return Evidence(said, {"leaky − ReLU": leaky - relu, "APL − leaky": apl - leaky})


def fixed_better_at_first(figures: Figures) -> Evidence:
    losses = [figures.functions[name].train_loss for name in FUNCTIONS]
    apl, relu, leaky = (at_the_start(loss) for loss in losses)
    said = f"ReLU {relu.value:.3f}, leaky {leaky.value:.3f}, APL {apl.value:.3f}"
    return Evidence(said, {"APL − ReLU": apl - relu, "APL − leaky": apl - leaky})


def twice_as_long(figures: Figures) -> Evidence:
    networks = [figures.functions[name] for name in FUNCTIONS]
    apl, *others = (float(known(series.seconds).mean()) for series in networks)
    fastest = min(others)
    raise NotJudged(MACHINE, f"{apl / fastest:.2f} times")


# -- learned shapes -----------------------------------------------------------------------------


def _at_left(figures: Figures, epoch: int) -> tuple[np.ndarray, np.ndarray]:
    """h and h' at LEFT of all channels of the three convolutions' functions."""
    x = np.array([LEFT - 0.01, LEFT, LEFT + 0.01])
    h = np.concatenate([shape(a, b, x) for a, b in figures.shapes[epoch][:3]], axis=1)
    return h[1], (h[2] - h[0]) / 0.02


def shapes_stay(figures: Figures) -> Evidence:
    end = max(known(figures.shapes))
    (before, _), (after, _) = (_at_left(figures, epoch) for epoch in (0, end))
    stay = float((np.sign(before) == np.sign(after)).mean())
    said = f"{stay:.0%} of {len(before)} channels"
    return Evidence(said, {"share − 0.9": share(stay, len(before)) - 0.9})


def shapes_are_leaky(figures: Figures) -> Evidence:
    start, end = (np.abs(_at_left(figures, e)[1]) for e in (0, max(known(figures.shapes))))
    said = f"{np.median(end):.2f}, at the start {np.median(start):.2f}"
    error = math.sqrt(math.pi / 2 / len(end)) * float(end.std())  # of a median
    return Evidence(said, {"0.1 − slope": 0.1 - Estimate(float(np.median(end)), error)})


# -- depth ----------------------------------------------------------------------------------------


def _by_depth(figures: Figures) -> dict[int, dict[str, Estimate]]:
    """The last test accuracy."""
    return {
        depth: {name: networks[name].accuracy() for name in FUNCTIONS}
        for depth, networks in known(figures.depths).items()
    }


def apl_above_at_each_depth(figures: Figures) -> Evidence:
    rows = "; ".join(
        f"{depth} layers " + ", ".join(f"{last(nets[name]):.3f}" for name in FUNCTIONS)
        for depth, nets in figures.depths.items()
    )
    numbers = {
        f"{depth} layers, APL − {name}": nets["apl"] - nets[name]
        for depth, nets in _by_depth(figures).items()
        for name in ("relu", "leaky_relu")
    }
    return Evidence("APL, ReLU, leaky: " + rows, numbers)


def deeper_is_better(figures: Figures) -> Evidence:
    accuracy = _by_depth(figures)
    depths = sorted(accuracy)
    shallow, deep = (figures.depths[depth] for depth in (depths[0], depths[-1]))
    gains = ", ".join(f"{name} {last(deep[name]) - last(shallow[name]):+.3f}" for name in FUNCTIONS)
    numbers = {
        f"{name}, {more} layers − {less}": accuracy[more][name] - accuracy[less][name]
        for less, more in itertools.pairwise(depths)
        for name in FUNCTIONS
    }
    return Evidence(f"from {depths[0]} to {depths[-1]} layers: {gains}", numbers)


def gap_narrows(figures: Figures) -> Evidence:
    accuracy = _by_depth(figures)
    gaps = []
    for nets in accuracy.values():
        order = sorted(nets.values(), key=lambda number: number.value)
        gaps.append(order[-1] - order[0])
    said = "gap " + ", ".join(f"{gap.value:.3f}" for gap in gaps)
    return Evidence(said, {"gap with 3 layers − with 7": gaps[0] - gaps[-1]})


def order_reverses(figures: Figures) -> Evidence:
    """Minus the product of the two differences: above 0 if they have opposite signs."""
    leads = [100 * (nets["relu"] - nets["leaky_relu"]) for nets in _by_depth(figures).values()]
    a, b = leads[0], leads[-1]
    da, db = a.standard_error(), b.standard_error()
    error = math.sqrt((a.value * db) ** 2 + (b.value * da) ** 2 + (da * db) ** 2)
    said = f"ReLU − leaky: {a.value / 100:+.3f}, {b.value / 100:+.3f}"
    return Evidence(said, {"−product, points²": Estimate(-a.value * b.value, error)})


CLAIMS: list[Statement[Figures]] = [
    Statement(
        HINGES_MATTER,
        f"last test accuracy: higher with S = {MANY} than with S = {FEW}",
        ahead("hinges", MANY, FEW),
        "As run, S also stands for training time: each value continues where the one before ended.",
    ),
    Statement(
        "Five hinges are more accurate than one",
        "last test accuracy",
        ahead("hinges", 5, 1),
        "As run, the network with five hinges has been trained five times as long as the one with "
        "one hinge.",
    ),
    Statement(
        "Accuracy does not grow linearly with S",
        "Pearson's r of S and last test accuracy is below 0",
        no_linear_relation,
        "There are only six points. As run, the accuracy follows the number of epochs.",
    ),
    Statement(
        ABOVE_RELU,
        "last test accuracy",
        ahead("functions", "apl", "relu"),
        "As run, our ReLU network has been trained twice as long as the others. The study's, which "
        "had also been trained before, hardly improves: its training loss falls from 1.28 to 1.20 "
        "in ten epochs. Its log does not show why.",
    ),
    Statement(
        "APL is more accurate than leaky ReLU",
        "last test accuracy",
        ahead("functions", "apl", "leaky_relu"),
    ),
    Statement(
        "Leaky ReLU lies between ReLU and APL",
        "order of the last test accuracies",
        leaky_between,
    ),
    Statement(
        "ReLU and leaky ReLU are better than APL at first",
        "both have a smaller training loss in the first epoch",
        fixed_better_at_first,
        "APL's left slopes are random at the start, and as run there is no function between its "
        "dense layers; the left slopes of the other two are 0 and 0.01.",
    ),
    Statement(
        "Training takes about twice as long with APL",
        "mean time of an epoch, over that of the faster of the other two",
        twice_as_long,
        "Each hinge adds a few passes over all channels, forward and backward.",
    ),
    Statement(
        "A unit's shape stays what it is at the start, concave or convex",
        "h(−2) has the same sign at the start and at the end in more than 90% of the channels of "
        "the convolutions",
        shapes_stay,
        "Adam moves a parameter by about its learning rate in each step, and the L2 penalty pulls "
        "every a towards 0, so that the bend becomes smaller.",
    ),
    Statement(
        "The learned shapes resemble leaky ReLU",
        "median |h'(−2)| over the channels is below 0.1",
        shapes_are_leaky,
        "The penalty pulls the left slopes towards 0 for as long as training lasts.",
    ),
    Statement(
        "APL is the most accurate at each depth",
        "highest last test accuracy with 3, 5 and 7 layers",
        apl_above_at_each_depth,
    ),
    Statement(
        "Accuracy grows with the depth",
        "last test accuracy rises from 3 to 5 to 7 layers with each function",
        deeper_is_better,
    ),
    Statement(
        "The gap between the functions narrows with the depth",
        "largest minus smallest last test accuracy: less with 7 layers than with 3",
        gap_narrows,
    ),
    Statement(
        "With 7 layers, ReLU and leaky ReLU swap places",
        "the difference between their last test accuracies has the opposite sign to that with 3 "
        "layers",
        order_reverses,
    ),
]
