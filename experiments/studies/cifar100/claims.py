"""The claims of the CIFAR-100 study, each with the criterion that it is judged by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from minidl.study import Claim, Evidence, NotJudged, PairedTest, Statement, paired_test, pairs
from minidl.study.claims import known, read_published
from minidl.study.estimates import Estimate, over_epochs, rank_trend, share
from minidl.study.pairs import ACTIVATIONS, AHEAD
from minidl.study.series import Series
from minidl.study.tables import figure, p_figure

FEWEST_EPOCHS = 5  # with fewer, no trend can be significant
NO_TREND = 0.5  # the |τ| below which there is no trend
EPOCHS = 20  # in the study
SMALLER = "Sigmoid's gradients are significantly smaller than ReLU's"
ON_TEST = "Beyond the study: ReLU is more accurate on the test images"
Pair = pairs.Pair[Series]


def published(epochs: int = EPOCHS) -> dict[str, Series]:
    """The study's figures, by activation, after so many epochs; it has none on test images."""
    study = read_published(__file__)
    return {
        name: Series(
            train_accuracy=np.array(study[name]["accuracy"]),
            gradients=np.array(study[name]["layer_gradients"]),
            train_images=50_000,
            test_images=10_000,
        ).until(epochs)
        for name in ACTIVATIONS
    }


def judged(summary: Mapping[str, Any]) -> list[Claim]:
    """Every claim on the networks of a summary; none unless both sigmoid and ReLU were trained."""
    if not set(ACTIVATIONS) <= set(summary["networks"]):
        return []
    return pairs.judged(CLAIMS, summary, summary, published, Series.of_block)


def more_accurate(pair: Pair) -> Evidence:
    sigmoid, relu = pair
    said = f"ReLU {relu.train_accuracy[-1]:.4f}, sigmoid {sigmoid.train_accuracy[-1]:.4f}"
    return Evidence(said, {AHEAD: relu.train_share() - sigmoid.train_share()})


def more_accurate_on_test(pair: Pair) -> Evidence:
    sigmoid, relu = (known(series.test_accuracy) for series in pair)
    said = (
        f"ReLU {relu[-1]:.4f} (best {relu.max():.4f} in epoch {relu.argmax() + 1}), "
        f"sigmoid {sigmoid[-1]:.4f} (best {sigmoid.max():.4f} in epoch {sigmoid.argmax() + 1})"
    )
    return Evidence(said, {AHEAD: pair[1].accuracy() - pair[0].accuracy()})


def _long_enough(gradients: np.ndarray) -> np.ndarray:
    if len(gradients) < FEWEST_EPOCHS:
        raise NotJudged
    return gradients


def _layer_trends(series: Series) -> tuple[str, dict[str, Estimate]]:
    layers = _long_enough(series.gradients)
    found = {f"τ of layer {i}": rank_trend(layer) for i, layer in enumerate(layers.T, 1)}
    taus = ", ".join(f"{trend.value:+.2f}" for trend in found.values())
    return f"τ by layer {taus}{_growth(series)}", found


def _growth(series: Series) -> str:
    first, last = series.gradients[0], series.gradients[-1]
    if not (first > 0).all() or not np.isfinite([first, last]).all():
        return ""
    times = last / first
    return f"; the last epoch's gradients {times.min():.1f} to {times.max():.1f} times the first's"


def relu_grows(pair: Pair) -> Evidence:
    return Evidence(*_layer_trends(pair[1]))


def sigmoid_layers_without_trend(pair: Pair) -> Evidence:
    return Evidence(*_layer_trends(pair[0]), within=NO_TREND)


def sigmoid_average_without_trend(pair: Pair) -> Evidence:
    average = _long_enough(pair[0].gradients).mean(axis=1)
    said = (
        f"{figure(float(average[0]))} in the first epoch, {figure(float(average[-1]))} in the last"
    )
    return Evidence(said, {"τ": rank_trend(average)}, within=NO_TREND)


def relu_ascends(pair: Pair) -> Evidence:
    gradients = pair[1].gradients
    if gradients.shape[1] < 2:
        raise NotJudged
    means = ", ".join(figure(1e3 * float(g), 2) for g in gradients.mean(axis=0))
    steps = {
        f"layer {i + 2} − layer {i + 1}": over_epochs(1e3 * step)
        for i, step in enumerate(np.diff(gradients, axis=1).T)
    }
    return Evidence(f"means by layer {means} × 10⁻³", steps)


def _alone(gradients: np.ndarray, layer: int, *, smallest: bool) -> np.ndarray:
    """(epochs,) whether that layer, counted from 0, has the smallest (largest) gradient."""
    others = np.delete(gradients, layer, axis=1)
    if smallest:
        return gradients[:, layer] < others.min(axis=1)
    return gradients[:, layer] > others.max(axis=1)


def relu_first_lags(pair: Pair) -> Evidence:
    gradients = pair[1].gradients
    if gradients.shape[1] < 2:
        raise NotJudged
    lags, epochs = int(_alone(gradients, 0, smallest=True).sum()), len(gradients)
    number = share(lags / epochs, epochs) - 0.5
    return Evidence(f"smallest in {lags} of {epochs} epochs", {"share − one half": number})


def sigmoid_order(pair: Pair) -> Evidence:
    gradients = pair[0].gradients
    if gradients.shape[1] != 4:
        raise NotJudged
    epochs = len(gradients)
    second = int(_alone(gradients, 1, smallest=False).sum())
    third = int(_alone(gradients, 2, smallest=True).sum())
    said = f"second largest in {second}, third smallest in {third} of {epochs} epochs"
    numbers = {
        "second layer's share − one half": share(second / epochs, epochs) - 0.5,
        "third layer's share − one half": share(third / epochs, epochs) - 0.5,
    }
    return Evidence(said, numbers)


def paired(a: Any, b: Any) -> PairedTest | None:
    """The paired test; None also if a number is not finite."""
    return paired_test(a, b) if np.isfinite([*a, *b]).all() else None


def smaller_gradients(pair: Pair) -> Evidence:
    sigmoid, relu = (series.gradients.mean(axis=1) for series in pair)
    found = paired(sigmoid, relu)
    said = f"means ReLU {figure(float(relu.mean()))}, sigmoid {figure(float(sigmoid.mean()))}"
    if found is not None:
        said += f"; the study's test: t = {found.statistic:.2f}, p = {p_figure(found.p_value)}"
    return Evidence(said, {AHEAD: over_epochs(relu - sigmoid)})


CLAIMS: list[Statement[Pair]] = [
    Statement(
        "ReLU is more accurate than sigmoid",
        "training accuracy of the last epoch",
        more_accurate,
        "This is the running accuracy on the training images; the last claim is about images that "
        "the networks have not seen.",
    ),
    Statement(
        "ReLU's gradients grow in every layer",
        "Kendall's τ with the epoch above 0 in each hidden layer",
        relu_grows,
    ),
    Statement(
        "Sigmoid's layers show no clear trend",
        "Kendall's τ with the epoch: not significantly different from 0 in any hidden layer, and "
        f"|τ| below {NO_TREND} in each",
        sigmoid_layers_without_trend,
    ),
    Statement(
        "Sigmoid's average gradient shows no clear trend",
        "Kendall's τ of the average with the epoch: not significantly different from 0, and "
        f"|τ| below {NO_TREND}",
        sigmoid_average_without_trend,
        "An average can hide what its layers do: the published one is high from the second epoch "
        "on, when the second layer's gradients are at their largest, while those of the first and "
        "fourth layers rise.",
    ),
    Statement(
        "ReLU's gradients ascend with the layers",
        "means over the epochs ascend from each hidden layer to the next",
        relu_ascends,
    ),
    Statement(
        "ReLU's first layer lags behind the others",
        "smallest gradient of all hidden layers in more than half of the epochs",
        relu_first_lags,
        "A layer's mean gradient includes its dead units, whose gradients are 0.",
    ),
    Statement(
        "Sigmoid's second layer has the largest gradients, the third the smallest",
        "each in more than half of the epochs",
        sigmoid_order,
    ),
    Statement(
        SMALLER,
        "mean of the average gradients over the epochs",
        smaller_gradients,
        "The study's test treats the epochs of one run as independent pairs, which they are not. "
        "Its p-value says how consistently the two curves differ, not how certain the difference "
        "is. The verdict is based on the interval.",
    ),
    Statement(
        ON_TEST,
        "test accuracy after the last epoch",
        more_accurate_on_test,
    ),
]
