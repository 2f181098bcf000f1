"""The claims of the study of adaptive activation functions, and how each is judged."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minidl.study import Evidence, NotReported, Statement
from minidl.study.claims import known
from minidl.study.estimates import NOT_KNOWN, Estimate, at_the_start, over_epochs, share
from minidl.study.tables import p_figure
from studies.adaptive_activations.series import Figures, last, shape
from studies.adaptive_activations.training import FUNCTIONS

HINGES_MATTER = "The number of hinges S matters"
ABOVE_RELU = "APL is more accurate than ReLU"
LEFT = -2  # where the left side of a learned function is looked at
MANY, FEW = 10, 1  # hinges


def ahead(group: str, more: Any, less: Any) -> Callable[[Figures], Evidence]:
    """Whether the one is the more accurate, of ``hinges`` or of ``functions``."""

    def test(figures: Figures) -> Evidence:
        networks = known(getattr(figures, group))
        a, b = networks[more], networks[less]
        said = f"{last(a):.4f} to {last(b):.4f}"
        return Evidence(said, {"difference": a.accuracy() - b.accuracy()})

    return test


def no_linear_relation(figures: Figures) -> Evidence:
    """Fisher's z of Pearson's r."""
    from scipy.stats import pearsonr

    accuracy = [last(series) for series in figures.hinges.values()]
    if len(accuracy) < 4 or np.ptp(accuracy) == 0:
        raise NotReported
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
    apl, *others = (over_epochs(known(series.seconds)) for series in networks)
    fastest = min(others, key=lambda time: time.value)
    ratio = apl.value / fastest.value
    said = f"{ratio:.2f} times"
    if not all(series.alone for series in networks):
        return Evidence(f"{said}, not measured alone", {"time": NOT_KNOWN})
    error = ratio * math.hypot(apl.error / apl.value, fastest.error / fastest.value)
    times_longer = Estimate(ratio, error, min(apl.freedom, fastest.freedom))
    return Evidence(said, {"ratio − 1.5": times_longer - 1.5, "2.5 − ratio": 2.5 - times_longer})


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
    return Evidence(f"{depths[-1]} layers to {depths[0]}: {gains}", numbers)


def gap_narrows(figures: Figures) -> Evidence:
    accuracy = _by_depth(figures)
    gaps = []
    for nets in accuracy.values():
        order = sorted(nets.values(), key=lambda number: number.value)
        gaps.append(order[-1] - order[0])
    said = "gap " + ", ".join(f"{gap.value:.3f}" for gap in gaps)
    return Evidence(said, {"gap with 3 layers − with 7": gaps[0] - gaps[-1]})


def order_reverses(figures: Figures) -> Evidence:
    """Minus the product of the two differences: above 0 where they have other directions."""
    leads = [100 * (nets["relu"] - nets["leaky_relu"]) for nets in _by_depth(figures).values()]
    a, b = leads[0], leads[-1]
    error = math.sqrt(
        (a.value * b.error) ** 2 + (b.value * a.error) ** 2 + (a.error * b.error) ** 2
    )
    said = f"ReLU − leaky: {a.value / 100:+.3f}, {b.value / 100:+.3f}"
    return Evidence(said, {"−product, points²": Estimate(-a.value * b.value, error)})


CLAIMS: list[Statement[Figures]] = [
    Statement(
        HINGES_MATTER,
        f"last test accuracy with S = {MANY} above that with S = {FEW}",
        ahead("hinges", MANY, FEW),
        "As run, S stands for the time trained: each value begins where the one before it ended.",
    ),
    Statement(
        "Five hinges are more accurate than one",
        "last test accuracy",
        ahead("hinges", 5, 1),
        "As run, the network with five hinges has been trained for five times as long as that "
        "with one.",
    ),
    Statement(
        "Accuracy does not grow linearly with S",
        "Pearson's r of S and last test accuracy below 0",
        no_linear_relation,
        "Six points. As run, the accuracy follows the epochs.",
    ),
    Statement(
        ABOVE_RELU,
        "last test accuracy",
        ahead("functions", "apl", "relu"),
        "As run, our ReLU network has been trained twice as long as the others. That of the "
        "study, trained before as well, hardly moves: its training loss falls from 1.28 to "
        "1.20 in ten epochs. What held it there its log does not show.",
    ),
    Statement(
        "APL is more accurate than leaky ReLU",
        "last test accuracy",
        ahead("functions", "apl", "leaky_relu"),
    ),
    Statement(
        "Leaky ReLU stands between ReLU and APL",
        "order of the last test accuracies",
        leaky_between,
    ),
    Statement(
        "ReLU and leaky ReLU are better than APL at first",
        "both have a smaller training loss in the first epoch",
        fixed_better_at_first,
        "APL's slopes on the left are random at the start, and as run its dense layers follow "
        "one another without a function; the others' slopes are 0 and 0.01.",
    ),
    Statement(
        "Training takes about twice as long with APL",
        "1.5 to 2.5 times the faster of the others, mean epoch of each; compared only where "
        "nothing else ran beside them",
        twice_as_long,
        "Each hinge is a few more passes over all channels, forward and backward.",
    ),
    Statement(
        "What a unit's shape is at the start, concave or convex, it stays",
        "h(−2) has the same sign at the start and the end in more than 90% of the channels "
        "(of the convolutions)",
        shapes_stay,
        "Adam moves a parameter by about its learning rate in a step, and the L2 penalty "
        "draws every a towards 0, so that the bend becomes smaller.",
    ),
    Statement(
        "The learned shapes resemble leaky ReLU",
        "median |h'(−2)| over the channels below 0.1",
        shapes_are_leaky,
        "The penalty draws the slopes on the left towards 0, as long as the training goes on.",
    ),
    Statement(
        "APL is more accurate at each depth",
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
        "largest minus smallest last test accuracy, 7 layers against 3",
        gap_narrows,
    ),
    Statement(
        "With 7 layers ReLU and leaky ReLU change places",
        "the difference of their last test accuracies has another direction than with 3 layers",
        order_reverses,
    ),
]
