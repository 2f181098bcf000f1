"""Two networks that differ in their activation function: the criteria for claims about them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from minidl.study.claims import Claim, Evidence, NotJudged, Statement, judge, known
from minidl.study.estimates import over_epochs, share
from minidl.study.series import PROBED, S, Series
from minidl.study.tables import figure

ACTIVATIONS = ("sigmoid", "relu")
AHEAD = "ReLU − sigmoid"
MACHINE = "another machine can give another order of times"
GAP = 0.02  # a network overfits if its training accuracy exceeds test accuracy by this much
Pair = tuple[S, S]  # sigmoid, ReLU


def judged(
    claims: Sequence[Statement[Pair[S]]],
    summary: Mapping[str, Any],
    set_up: Mapping[str, Any],
    published: Callable[..., Mapping[str, S]],
    series: Callable[..., S],
) -> list[Claim]:
    """Every claim, judged on the networks in a set-up of a summary and on the published ones.

    ``published`` returns the latter after that number of epochs, or after all of them; ``series``
    makes a series from a block of the summary and further values of the summary.
    """
    sizes = {name: {**summary, **set_up}[name] for name in ("train_images", "test_images")}

    def pair(networks: Mapping[str, Any]) -> Pair[S]:
        sigmoid, relu = (series(networks[f], **sizes) for f in ACTIVATIONS)
        return sigmoid, relu

    runs = [pair(run["networks"]) for run in set_up.get("runs", [set_up])]
    study, whole = (
        (found["sigmoid"], found["relu"]) for found in (published(summary["epochs"]), published())
    )
    return judge(claims, study, runs, whole)


# -- criteria ----------------------------------------------------------------------------------


def more_accurate(pair: Pair[Series]) -> Evidence:
    sigmoid, relu = (float(series.test_accuracy[-1]) for series in pair)
    ahead = pair[1].accuracy() - pair[0].accuracy()
    return Evidence(f"ReLU {relu:.4f}, sigmoid {sigmoid:.4f}", {AHEAD: ahead})


def faster(pair: Pair[Series]) -> Evidence:
    sigmoid, relu = pair
    half = len(relu.test_accuracy) // 2
    if not half:
        raise NotJudged
    said = (
        f"ReLU {relu.test_accuracy[half - 1]:.4f} after epoch {half}, sigmoid "
        f"{sigmoid.test_accuracy[-1]:.4f} after epoch {len(sigmoid.test_accuracy)}"
    )
    return Evidence(said, {AHEAD: relu.accuracy(half - 1) - sigmoid.accuracy()})


def smoother(pair: Pair[Series]) -> Evidence:
    steps = len(pair[0].test_loss) - 1
    if steps < 1:
        raise NotJudged
    sigmoid, relu = (int((np.diff(series.test_loss) > 0).sum()) for series in pair)
    fewer = share(sigmoid / steps, steps) - share(relu / steps, steps)
    said = f"rises in: ReLU {relu}, sigmoid {sigmoid} of {steps} epochs"
    return Evidence(said, {"share of the epochs, sigmoid − ReLU": fewer})


def no_overfitting(pair: Pair[Series]) -> Evidence:
    gaps = [series.train_accuracy[-1] - series.test_accuracy[-1] for series in pair]
    return Evidence(
        f"training − test: ReLU {gaps[1]:+.4f}, sigmoid {gaps[0]:+.4f}",
        {"2 points − ReLU's": GAP - pair[1].gap(), "2 points − sigmoid's": GAP - pair[0].gap()},
    )


def saturates(pair: Pair[Series]) -> Evidence:
    sigmoid, relu = (known(series.flat) for series in pair)
    said = f"sigmoid {sigmoid:.1%} (ReLU {relu:.1%})"
    return Evidence(said, {"sigmoid's share − one half": share(sigmoid, PROBED) - 0.5})


def larger_gradients(pair: Pair[Series]) -> Evidence:
    sigmoid, relu = (known(series.gradients)[:, 0] for series in pair)
    said = f"ReLU {figure(float(relu.mean()))}, sigmoid {figure(float(sigmoid.mean()))}"
    return Evidence(said, {AHEAD: over_epochs(relu) - over_epochs(sigmoid)})


def lighter(pair: Pair[Series]) -> Evidence:
    sigmoid, relu = (known(series.seconds) for series in pair)
    said = f"ReLU {relu.mean():.2f} s, sigmoid {sigmoid.mean():.2f} s"
    raise NotJudged(MACHINE, said)
