"""The gradients before the first step, compared with theory."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from minidl import Dense, Network, SoftmaxCrossEntropy
from minidl.data import Dataset
from minidl.pages import Chart, Prose, Series, Table, Told
from minidl.pages.colours import BLACK, function_colour
from minidl.propagation import MeanField, Signals, measured, predicted
from minidl.study.charts import layer_names
from minidl.study.series import PROBED
from minidl.study.tables import figure

MOST = 0.1  # layers per unit of the narrowest layer: beyond it, theory is off by more than a third
SETTLED = 0.1  # χ∥ below which the variance of z has settled a layer or two from the input
FIGURES = ("z2", "dz2", "mean_abs_dW")


def start_of(network: Network, data: Dataset) -> dict[str, Any]:
    """The measured and the predicted figures of a network before training.

    Lists over the layers; empty if the theory does not apply.
    """
    layers = [layer for layer in network.layers if isinstance(layer, Dense)]
    if not _is_wide([layer.n_out for layer in layers[:-1]], layers[-1].n_out):
        return {}
    examples = data.train.first(PROBED).to(network.device)
    x, labels = examples.batch(0, len(examples), network.dtype)
    loss = SoftmaxCrossEntropy()
    try:
        found = {"predicted": predicted(network, loss, x, labels, "sum")}
    except ValueError:  # a mean that does not settle
        return {}
    found["measured"] = measured(network, loss, x, labels, "sum")
    columns = {by: _columns(rows) for by, rows in found.items()}
    if not np.isfinite([list(by.values()) for by in columns.values()]).all():
        return {}
    return {"start": columns | {"units": [layer.n_out for layer in layers]}}


def _is_wide(hidden: Sequence[int], outputs: int) -> bool:
    return len(hidden) <= MOST * min(hidden) and outputs <= hidden[-1]


def _columns(rows: Sequence[Signals]) -> dict[str, list[float]]:
    return {name: [getattr(row, name) for row in rows] for name in FIGURES}


# -- what the report says ----------------------------------------------------------------------


def start_parts(summary: Mapping[str, Any]) -> list[Told]:
    """A sentence and, if the summary has them, the figures before training; else nothing."""
    said = sentence_of(summary)
    starts = {
        name: block["start"] for name, block in summary["networks"].items() if "start" in block
    }
    if not starts:
        return [Prose([said])] if said else []
    off = math.sqrt(len(summary["hidden"]) / min(summary["hidden"]))
    about = (
        "`minidl.propagation` predicts from f and f', the size of the weights and the first "
        f"{PROBED} training images alone; the same networks are measured before their first step. "
        "The theory is for infinitely wide layers: for a network of this width it is off by about "
        f"{off:.0%}, by the same amount in every layer. The share of the last hidden layer, which "
        "depends on the output layer, is given only in the table."
    )
    return [Prose([said, about] if said else [about]), _chart(starts), _table(starts)]


def sentence_of(summary: Mapping[str, Any]) -> str:
    """The share of the squared gradient that each layer passes back; empty if not known."""
    known = {name: _shares(summary, name) for name in summary["networks"]}
    said = [f"each {name} layer {_range(shares)}" for name, shares in known.items() if shares]
    if not said:
        return ""
    first = said[0].replace(" layer ", " layer passes back ", 1) + " of the squared gradient"
    return f"In theory, before any training, {', '.join([first, *said[1:]])}."


def _range(shares: Sequence[float]) -> str:
    ends = dict.fromkeys(f"{100 * share:.2g}%" for share in (min(shares), max(shares)))
    return " to ".join(ends)


def _shares(summary: Mapping[str, Any], name: str) -> list[float]:
    """The share that each hidden layer but the last passes back; empty if not known.

    The share is χ.  If a summary has no figures from before training, χ is known for layers of one
    width, whose Glorot σ_w² is 1, if it does not depend on the variance of z or if that variance
    settles at once.
    """
    start, hidden = summary["networks"][name].get("start"), summary["hidden"]
    if start is not None:
        passed = _passed(start, "predicted")[:-1]
        return [] if np.isnan(passed).any() else passed
    if len(hidden) < 2 or len(set(hidden)) > 1 or not _is_wide(hidden, 0):
        return []
    field = MeanField(name, sigma_w2=1)
    chis = field.chis(np.array([0.01, 1.0, 100.0]))
    if np.ptp(chis) <= 1e-9 * chis.max():  # as ReLU's, it does not depend on the variance
        return [float(chis[0])]
    points = field.fixed_points()
    settled = [point.chi for point in points if point.chi_parallel < SETTLED]
    return settled if len(points) == 1 else []


def _chart(starts: Mapping[str, Any]) -> Chart:
    series = []
    for name, start in starts.items():
        labels = layer_names(len(start["units"]))
        for by, colour in (("predicted", BLACK), ("measured", function_colour(name))):
            sizes = start[by]["mean_abs_dW"]
            series.append(Series(f"{name}, {by}", labels, sizes, colour, panel=name))
    about = (
        f"Mean |∂L/∂W| of each layer before the first step, L summed over {PROBED} training images."
    )
    title = "Predicted and measured gradients before training"
    scales = ("log", "linear")
    return Chart(title, about, "layer", "mean |∂L/∂W|", series, scales, name="start", joined=True)


def _table(starts: Mapping[str, Any]) -> Table:
    rows: list[list[str | Told]] = []
    for name, start in starts.items():
        ours, theory = start["measured"]["mean_abs_dW"], start["predicted"]["mean_abs_dW"]
        passed = {by: _passed(start, by) for by in ("predicted", "measured")}
        for i, label in enumerate(layer_names(len(start["units"]))):
            sizes = [figure(1e3 * size, 3) for size in (theory[i], ours[i])]
            shares = [_share(passed[by], i) for by in ("predicted", "measured")]
            ratio = figure(ours[i] / theory[i], 2) if theory[i] else "–"
            rows.append([name, label, *sizes, ratio, *shares])
    head = ["network", "layer", "mean |∂L/∂W| × 10⁻³, predicted", "measured"]
    head += ["measured / predicted", "squared gradient passed back, predicted", "measured"]
    return Table("Before the first step", head, rows)


def _passed(start: Mapping[str, Any], by: str) -> list[float]:
    """‖dz‖² of each layer over that of the next; NaN if that is 0."""
    squares = [n * dz2 for n, dz2 in zip(start["units"], start[by]["dz2"], strict=True)]
    return [one / behind if behind else math.nan for one, behind in pairwise(squares)]


def _share(passed: Sequence[float], layer: int) -> str:
    if layer == len(passed):
        return ""
    return "–" if math.isnan(passed[layer]) else f"{100 * passed[layer]:.2g}%"
