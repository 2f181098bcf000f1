"""Two networks that differ in their activation function: what claims about them are judged by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from minidl.study.claims import Evidence, Judged
from minidl.study.estimates import NOT_KNOWN, Estimate, over_epochs, share
from minidl.study.tables import figure

S = TypeVar("S", bound="Series")

AHEAD = "ReLU − sigmoid"
PROBED = 64  # training images that gradients and slopes are those of
IDLE = 0.2  # processors that other programs may keep busy where times are compared
GAP = 0.02  # of training accuracy above test accuracy, from which on a network overfits


@dataclass(frozen=True, kw_only=True)
class Series:
    """One network of one run, as far as the claims are about it; None is not reported."""

    train_loss: np.ndarray  # (epochs,) running
    train_accuracy: np.ndarray
    test_loss: np.ndarray  # (epochs,) after the epoch
    test_accuracy: np.ndarray
    train_images: int
    test_images: int
    flat: float | None = None  # share of hidden slopes f'(z) below 1% of the steepest, at the end
    first_gradients: np.ndarray | None = None  # (epochs,) mean |∂L/∂W| of the first layer
    seconds: np.ndarray | None = None  # (epochs,)
    alone: bool = False  # nothing else was trained at the same time

    @classmethod
    def of_block(cls: type[S], block: dict[str, Any], **more: Any) -> S:
        """Ours, from a network of a summary; ``more`` is what stands elsewhere in it."""
        flat = block["units"]["saturated"][-1] if "units" in block else None
        by_epoch: dict[str, Any] = {k: np.array(block[k], float) for k in BY_EPOCH}
        return cls(
            **by_epoch,
            first_gradients=np.array([row[0] for row in block["gradients"]["weights"]], float),
            seconds=np.array(block["seconds"]),
            flat=None if flat is None else float(np.mean(flat)),
            **more,
        )

    def until(self: S, epoch: int, **more: Any) -> S:
        """A published network as it was after that epoch; ``more``: what is known of the last."""
        if epoch >= len(self.test_accuracy):
            return self
        return replace(self, **{k: getattr(self, k)[:epoch] for k in BY_EPOCH}, **more)

    def accuracy(self, epoch: int = -1) -> Estimate:
        """On the test images, after that epoch."""
        return share(float(self.test_accuracy[epoch]), self.test_images)

    def gap(self) -> Estimate:
        """Training accuracy (running) less test accuracy, in the last epoch."""
        return share(float(self.train_accuracy[-1]), self.train_images) - self.accuracy()


BY_EPOCH = ("train_loss", "train_accuracy", "test_loss", "test_accuracy")
Pair = tuple[Series, Series]  # sigmoid, ReLU


def alone(summary: Mapping[str, Any]) -> bool:
    """Whether nothing else ran while the networks of a run were trained, one after the other."""
    others = summary.get("load_of_others")
    is_idle = others is not None and others < IDLE
    is_here = not summary.get("cluster") and not summary.get("done_before", 0)
    return summary["jobs"] == 1 and is_here and is_idle


def more_accurate(pair: Pair) -> Judged:
    sigmoid, relu = (float(series.test_accuracy[-1]) for series in pair)
    ahead = pair[1].accuracy() - pair[0].accuracy()
    return Evidence(f"ReLU {relu:.4f}, sigmoid {sigmoid:.4f}", {AHEAD: ahead})


def faster(pair: Pair) -> Judged:
    sigmoid, relu = pair
    half = len(relu.test_accuracy) // 2
    if not half:
        return None
    said = (
        f"ReLU {relu.test_accuracy[half - 1]:.4f} after epoch {half}, sigmoid "
        f"{sigmoid.test_accuracy[-1]:.4f} after epoch {len(sigmoid.test_accuracy)}"
    )
    return Evidence(said, {AHEAD: relu.accuracy(half - 1) - sigmoid.accuracy()})


def smoother(pair: Pair) -> Judged:
    steps = len(pair[0].test_loss) - 1
    if steps < 1:
        return None
    sigmoid, relu = (int((np.diff(series.test_loss) > 0).sum()) for series in pair)
    fewer = share(sigmoid / steps, steps) - share(relu / steps, steps)
    said = f"rises in: ReLU {relu}, sigmoid {sigmoid} of {steps} epochs"
    return Evidence(said, {"share of the epochs, sigmoid − ReLU": fewer})


def no_overfitting(pair: Pair) -> Judged:
    gaps = [series.train_accuracy[-1] - series.test_accuracy[-1] for series in pair]
    return Evidence(
        f"training − test: ReLU {gaps[1]:+.4f}, sigmoid {gaps[0]:+.4f}",
        {"2 points − ReLU's": GAP - pair[1].gap(), "2 points − sigmoid's": GAP - pair[0].gap()},
    )


def saturates(pair: Pair) -> Judged:
    sigmoid, relu = (series.flat for series in pair)
    if sigmoid is None or relu is None:
        return None
    said = f"sigmoid {sigmoid:.1%} (ReLU {relu:.1%})"
    return Evidence(said, {"sigmoid's share − one half": share(sigmoid, PROBED) - 0.5})


def larger_gradients(pair: Pair) -> Judged:
    sigmoid, relu = (series.first_gradients for series in pair)
    if sigmoid is None or relu is None:
        return None
    said = f"ReLU {figure(float(relu.mean()))}, sigmoid {figure(float(sigmoid.mean()))}"
    return Evidence(said, {AHEAD: over_epochs(relu) - over_epochs(sigmoid)})


def lighter(pair: Pair) -> Judged:
    sigmoid, relu = pair
    if sigmoid.seconds is None or relu.seconds is None:
        return None
    said = f"ReLU {relu.seconds.mean():.2f} s, sigmoid {sigmoid.seconds.mean():.2f} s"
    if not (sigmoid.alone and relu.alone):
        return Evidence(f"{said}, not measured alone", {"time": NOT_KNOWN})
    less = 0.9 * over_epochs(sigmoid.seconds) - over_epochs(relu.seconds)
    return Evidence(said, {"0.9 sigmoid − ReLU, s": less})
