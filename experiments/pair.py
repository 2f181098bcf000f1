"""Two networks that differ in their activation function: what claims about them are judged by."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from minidl.recording import History
from minidl.reporting import Judged
from minidl.reporting.tables import figure

S = TypeVar("S", bound="Series")


@dataclass(frozen=True, kw_only=True)
class Series:
    """One network of one run, as far as the claims are about it; None is not reported."""

    train_loss: np.ndarray  # (epochs,) running
    train_accuracy: np.ndarray
    test_loss: np.ndarray  # (epochs,) after the epoch
    test_accuracy: np.ndarray
    test_images: int
    flat: float | None = None  # share of hidden slopes f'(z) below 1% of the steepest, at the end
    first_gradient: float | None = None  # mean |∂L/∂W| of the first layer, over the epochs
    seconds: float | None = None  # of the fastest epoch

    @classmethod
    def of_history(cls: type[S], history: History, test_images: int, **more: Any) -> S:
        """Ours, from a training; ``more`` is what only that study's series have."""
        hidden = history.probes[-1].units[:-1]
        return cls(
            train_loss=np.array(history.train_loss),
            train_accuracy=np.array(history.train_accuracy),
            test_loss=np.array(history.test_loss),
            test_accuracy=np.array(history.test_accuracy),
            test_images=test_images,
            flat=float(np.mean([units.saturated for units in hidden])),
            first_gradient=float(np.mean([probe.mean_abs("W")[0] for probe in history.probes])),
            seconds=min(history.seconds),
            **more,
        )


Pair = tuple[Series, Series]  # sigmoid, ReLU


def more_accurate(pair: Pair) -> Judged:
    sigmoid, relu = (float(series.test_accuracy[-1]) for series in pair)
    share = (sigmoid + relu) / 2
    error = math.sqrt(share * (1 - share) * sum(1 / series.test_images for series in pair))
    apart = f": {(relu - sigmoid) / error:+.1f} standard errors" if error > 0 else ""
    return f"ReLU {relu:.4f}, sigmoid {sigmoid:.4f}{apart}", relu - sigmoid > 1.96 * error


def faster(pair: Pair) -> Judged:
    sigmoid, relu = (series.test_accuracy for series in pair)
    there = np.flatnonzero(relu >= sigmoid[-1])
    if len(sigmoid) < 2:
        return None
    if not len(there):
        return "never", False
    epoch = int(there[0]) + 1
    return f"in epoch {epoch} of {len(relu)}", epoch <= len(relu) / 2


def smoother(pair: Pair) -> Judged:
    if len(pair[0].test_loss) < 2:
        return None
    sigmoid, relu = (int((np.diff(series.test_loss) > 0).sum()) for series in pair)
    return f"rises in: ReLU {relu}, sigmoid {sigmoid} epochs", relu < sigmoid


def no_overfitting(pair: Pair) -> Judged:
    gaps = [series.train_accuracy[-1] - series.test_accuracy[-1] for series in pair]
    figures = f"training − test: ReLU {gaps[1]:+.4f}, sigmoid {gaps[0]:+.4f}"
    return figures, bool(max(gaps) < 0.02)


def saturates(pair: Pair) -> Judged:
    sigmoid, relu = (series.flat for series in pair)
    if sigmoid is None or relu is None:
        return None
    return f"sigmoid {sigmoid:.1%}, ReLU {relu:.1%}", sigmoid > relu


def larger_gradients(pair: Pair) -> Judged:
    sigmoid, relu = (series.first_gradient for series in pair)
    if sigmoid is None or relu is None:
        return None
    return f"ReLU {figure(relu)}, sigmoid {figure(sigmoid)}", relu > sigmoid


def lighter(pair: Pair) -> Judged:
    sigmoid, relu = (series.seconds for series in pair)
    if sigmoid is None or relu is None:
        return None
    return f"ReLU {relu:.3f} s, sigmoid {sigmoid:.3f} s", relu < 0.9 * sigmoid
