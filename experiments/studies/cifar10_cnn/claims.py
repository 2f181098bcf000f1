"""The claims of the CIFAR-10 study, each with the criterion that it is judged by."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from minidl.study import Claim, Evidence, NotJudged, Statement, pairs
from minidl.study.claims import known, read_published
from minidl.study.estimates import Estimate, at_the_end, over_epochs, ratio_over_epochs, share
from minidl.study.pairs import ACTIVATIONS, AHEAD, GAP
from minidl.study.series import PROBED
from minidl.study.series import Series as EpochSeries
from minidl.study.tables import figure
from studies.cifar10_cnn.training import CHANCE, EPOCHS

MORE_ACCURATE = "ReLU is more accurate than sigmoid"
SATURATES = "Sigmoid's units saturate, and its gradient vanishes"
GAIN = 0.02  # of sigmoid's test accuracy; a smaller gain is no improvement


@dataclass(frozen=True, kw_only=True)
class Series(EpochSeries):
    """One network, with the figures of the snapshots between its steps."""

    one_sign: np.ndarray | None = None  # of the dense hidden layer's gradients, by first steps
    # Share of the dense hidden layer's slopes f'(z) below 1% of the steepest after the first
    # steps, and by epoch mean |∂L/∂W| of the convolution in parts of that before the first step
    saturation: tuple[float, np.ndarray] | None = None
    right: tuple[int, int] | None = None  # of the test images shown: correct, all

    @classmethod
    def of(cls, block: Mapping[str, Any], **more: Any) -> Series:
        """Ours, from a network of a summary."""
        steps = [snapshot["layers"] for snapshot in block["first_steps"]]
        start = steps[0]["conv2d_1"]["gradient"]
        later = np.array([row[0] for row in block["gradients"]["weights"]], float)
        left = later / start if start > 0 else np.full(len(later), np.nan)
        return cls.of_block(
            block,
            one_sign=np.array([layers["dense_1"]["one_sign"] for layers in steps], float),
            saturation=(steps[-1]["dense_1"]["flat"], left),
            right=(block["right"]["count"], block["right"]["of"]),
            **more,
        )


Pair = pairs.Pair[Series]


def published(epochs: int = EPOCHS) -> dict[str, Series]:
    """The study's figures by activation, after so many epochs."""
    study, sizes = read_published(__file__), {"train_images": 50_000, "test_images": 10_000}
    return {name: Series.of_keras(study[name], **sizes).until(epochs) for name in ACTIVATIONS}


def judged(summary: Mapping[str, Any]) -> list[Claim]:
    """Every claim on the networks of a summary, beside the study's after as many epochs."""
    return pairs.judged(CLAIMS, summary, summary, published, Series.of)


def starts_at_chance(pair: Pair) -> Evidence:
    first = float(pair[0].test_accuracy[0])
    said = f"{first:.4f} after the first epoch"
    return Evidence(said, {f"{CHANCE:.0%} − accuracy": CHANCE - pair[0].accuracy(0)})


def improves_gradually(pair: Pair) -> Evidence:
    accuracy = pair[0].test_accuracy
    if len(accuracy) < 2:
        raise NotJudged
    gain = pair[0].accuracy() - pair[0].accuracy(0)
    steepest = int(np.diff(accuracy).argmax()) + 1
    most = pair[0].accuracy(steepest) - pair[0].accuracy(steepest - 1)
    said = (
        f"{accuracy[-1] - accuracy[0]:+.4f} in {len(accuracy)} epochs, "
        f"{accuracy[steepest] - accuracy[steepest - 1]:+.4f} in one of them"
    )
    return Evidence(said, {"gain − 2 points": gain - GAIN, "gain / 2 − step": 0.5 * gain - most})


def rises_steadily(pair: Pair) -> Evidence:
    accuracy = pair[1].test_accuracy
    if len(accuracy) < 2:
        raise NotJudged
    falls = int((np.diff(accuracy) < 0).sum())
    best = int(accuracy.argmax()) + 1
    steps = {
        f"epoch {epoch + 1} − epoch {epoch}": pair[1].accuracy(epoch) - pair[1].accuracy(epoch - 1)
        for epoch in range(1, len(accuracy))
    }
    return Evidence(f"falls in {falls} epochs, highest after epoch {best}", steps)


def lower_loss(pair: Pair) -> Evidence:
    sigmoid, relu = (series.test_loss for series in pair)
    said = f"ReLU {relu[-1]:.4f}, sigmoid {sigmoid[-1]:.4f}"
    return Evidence(said, {"sigmoid − ReLU": at_the_end(sigmoid) - at_the_end(relu)})


def generalizes_better(pair: Pair) -> Evidence:
    gaps = [float(series.train_accuracy[-1] - series.test_accuracy[-1]) for series in pair]
    said = f"training − test: ReLU {gaps[1]:+.4f}, sigmoid {gaps[0]:+.4f}"
    return Evidence(said, {"sigmoid's − ReLU's": pair[0].gap() - pair[1].gap()})


def does_not_overfit(pair: Pair) -> Evidence:
    relu = pair[1]
    best = int(relu.test_loss.argmin()) + 1
    said = (
        f"training − test {relu.train_accuracy[-1] - relu.test_accuracy[-1]:+.4f}; test loss "
        f"lowest after epoch {best} of {len(relu.test_loss)}"
    )
    return Evidence(said, {"2 points − difference": GAP - relu.gap()})


def has_one_sign(pair: Pair) -> Evidence:
    means = [_over_snapshots(known(series.one_sign)) for series in pair]
    said = f"sigmoid {means[0].value:.2f}, ReLU {means[1].value:.2f}"
    numbers = {"sigmoid − 0.9": means[0] - 0.9, "sigmoid − ReLU": means[0] - means[1]}
    return Evidence(said, numbers)


def _over_snapshots(series: np.ndarray) -> Estimate:
    """The mean over the snapshots that have a gradient."""
    return over_epochs(series[np.isfinite(series)], limits=(0.0, 1.0))


def saturates(pair: Pair) -> Evidence:
    flat, left = known(pair[0].saturation)
    mean = math.exp(ratio_over_epochs(left).value)
    said = f"{flat:.1%} flat, {figure(mean)} of the gradient left"
    numbers = {
        "flat − one half": share(flat, PROBED) - 0.5,
        "a tenth / gradient left": math.log(0.1) - ratio_over_epochs(left),
    }
    return Evidence(said, numbers)


def more_right(pair: Pair) -> Evidence:
    sigmoid, relu = (known(series.right) for series in pair)
    ahead = share(relu[0] / relu[1], relu[1]) - share(sigmoid[0] / sigmoid[1], sigmoid[1])
    said = f"ReLU {relu[0]}, sigmoid {sigmoid[0]} of {relu[1]}"
    return Evidence(said, {AHEAD: ahead})


CLAIMS: list[Statement[Pair]] = [
    Statement(
        MORE_ACCURATE,
        "test accuracy after the last epoch",
        pairs.more_accurate,
        "The difference depends on how long sigmoid stays at chance: see the plateau.",
    ),
    Statement(
        "ReLU learns faster",
        "test accuracy after half of the epochs: above sigmoid's after the last epoch",
        pairs.faster,
        "As long as sigmoid is at chance, one epoch of ReLU is enough.",
    ),
    Statement(
        "Sigmoid starts at 10%",
        f"test accuracy after the first epoch: not above {CHANCE:.0%}",
        starts_at_chance,
    ),
    Statement(
        "Sigmoid improves gradually",
        "from the first epoch to the last, its test accuracy rises by more than 2 points, and no "
        "single epoch accounts for more than half of the rise",
        improves_gradually,
        "The published network leaves its plateau abruptly: one epoch accounts for 64% of the "
        "gain.",
    ),
    Statement(
        "ReLU's accuracy increases steadily",
        "its test accuracy rises in every epoch",
        rises_steadily,
    ),
    Statement(
        "ReLU's loss is lower than sigmoid's",
        "test loss after the last epoch",
        lower_loss,
        "A network that guesses at random has a loss of log 10 = 2.30.",
    ),
    Statement(
        "ReLU's loss falls more consistently",
        "its test loss rises in fewer epochs than sigmoid's",
        pairs.smoother,
    ),
    Statement(
        "ReLU generalizes better",
        "training accuracy (running) minus test accuracy in the last epoch: smaller than sigmoid's",
        generalizes_better,
        "A network that has learned little has a small gap, since both of its accuracies are low.",
    ),
    Statement(
        "ReLU helps to prevent overfitting",
        "in the last epoch, training accuracy (running) is less than 2 points above test accuracy",
        does_not_overfit,
    ),
    Statement(
        SATURATES,
        "after the first 32 steps, more than half of the dense hidden layer's slopes f'(z) lie "
        "below 1% of the steepest, and mean |∂L/∂W| of the convolution is below a tenth of that "
        "before the first step (geometric mean over the epochs, loss summed over 64 training "
        "images)",
        saturates,
    ),
    Statement(
        "ReLU suffers less from vanishing gradients",
        "mean |∂L/∂W| of the convolution, averaged over the epochs, is larger than sigmoid's "
        "(loss summed over 64 training images)",
        pairs.larger_gradients,
        "Next to no gradient passes back through a layer whose slopes are flat.",
    ),
    Statement(
        "Sigmoid is not zero-centred, so all weight updates have one sign",
        "in the dense hidden layer, Σ_j |Σ_i ∂L/∂W_ij| / Σ_ij |∂L/∂W_ij| is above 0.9 (it is 1 if "
        "the gradients of each unit's weights all have the same sign) and above ReLU's (mean over "
        "steps 0 to 32)",
        has_one_sign,
        "All inputs of the layer are positive after either function.",
    ),
    Statement(
        "ReLU identifies more of ten test images",
        "correct answers on the first test image of each class",
        more_right,
        "Ten images are few; the accuracy on the whole test set says more.",
    ),
    Statement(
        "ReLU is more efficient to compute",
        "mean training time of an epoch",
        pairs.lighter,
        "Everything else that the machine does adds to these times.",
    ),
]
