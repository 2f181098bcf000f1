"""What a classifier gets right: confusion matrix; precision, recall, F1; Matthews correlation."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from minidl import plots
from minidl.backend import Array, checks, to_numpy
from minidl.data.examples import Examples
from minidl.network import Network
from minidl.pages.picture import Picture


def predict_labels(network: Network, x: Array | Examples, batch_size: int = 256) -> np.ndarray:
    """argmax_i of the network's output for each example in ``x``.  ``(N,)``, on the CPU.

    Bytes in ``x`` ``(N, …)`` are divided by 255, as in ``network.predict``; ``Examples`` keep
    their own scaling.

    Raises
    ------
    ValueError
        if arguments have the wrong type, inputs do not match, or the network does not return at
        least two classes.
    """
    batch_size = checks.integer("predict_labels", "batch_size", batch_size)
    checks.instance("predict_labels", "network", network, Network)
    outputs = network.shapes[-1]
    if len(outputs) != 1 or outputs[0] < 2:
        one = "; the answer of one output is network.predict(x) > 0" if outputs == (1,) else ""
        raise ValueError(
            "predict_labels: expected a network that gives (N, classes), two of them at least, got "
            f"(N, {', '.join(map(str, outputs))}){one}"
        )
    if not isinstance(x, Examples):
        checks.array("predict_labels", "x", x)
        return network.predict(x, batch_size).argmax(axis=1)
    examples = x.to(network.device)
    labels = np.empty(len(examples), np.int64)
    for start in range(0, len(examples), batch_size):
        batch, _ = examples.batch(start, start + batch_size, network.dtype)
        labels[start : start + batch_size] = to_numpy(network.forward(batch).argmax(axis=1))
    return labels


def confusion_matrix(labels: Array, predictions: Array, classes: int) -> np.ndarray:
    """M_ij: how many examples of class i were predicted as class j.  ``(classes, classes)`` int64.

    ``labels`` and ``predictions`` are integers ``(N,)`` from 0 to ``classes - 1``.

    Raises
    ------
    ValueError
        if types, values or lengths are wrong, or there is no example.
    """
    classes = checks.integer("confusion_matrix", "classes", classes)
    true, taken = (
        _checked(name, array, classes)
        for name, array in (("labels", labels), ("predictions", predictions))
    )
    if len(true) != len(taken):
        raise ValueError(
            f"confusion_matrix: expected as many predictions as labels, got {len(taken)} "
            f"for {len(true)}"
        )
    pairs = np.bincount(true * classes + taken, minlength=classes * classes)
    return pairs.reshape(classes, classes)


def _checked(name: str, array: Array, classes: int) -> np.ndarray:
    checks.array("confusion_matrix", name, array)
    array = to_numpy(array)
    if array.ndim != 1 or array.dtype.kind not in "iu" or not len(array):
        raise ValueError(
            f"confusion_matrix: expected {name} to be integers (N,) with N of at least 1, "
            f"got {array.dtype} {array.shape}"
        )
    if array.min() < 0 or array.max() >= classes:
        raise ValueError(
            f"confusion_matrix: expected {name} from 0 to {classes - 1}, "
            f"got {array.min()} to {array.max()}"
        )
    return array.astype(np.int64)


class Scores(NamedTuple):
    """Precision, recall and F1: numbers for an average, ``(C,)`` arrays for all classes."""

    precision: Any
    recall: Any
    f1: Any


@dataclass(frozen=True, eq=False)
class ClassReport:
    """The scores of each class, from the confusion matrix M ``(C, C)``::

        precision_i = M_ii / Σ_j M_ji      share of predictions of i that are i
        recall_i    = M_ii / Σ_j M_ij      share of examples of i that were found
        F1_i        = 2 M_ii / (Σ_j M_ij + Σ_j M_ji)      their harmonic mean

    The definitions are scikit-learn's, including its default that 0/0 is 0
    (``zero_division``), but without a warning.
    ``print(report)`` shows a table.
    """

    names: tuple[str, ...]  # of the classes
    confusion: np.ndarray  # M

    def __post_init__(self) -> None:
        if len(set(self.names)) < len(self.names):
            (twice, *_) = [name for name in self.names if self.names.count(name) > 1]
            raise ValueError(f"ClassReport: expected each name only once, got {twice!r} again")
        checks.array("ClassReport", "confusion", self.confusion)
        M, C = self.confusion, len(self.names)
        if M.shape != (C, C) or M.dtype.kind not in "iu" or M.min() < 0 or not M.any():
            raise ValueError(
                f"ClassReport: expected confusion ({C}, {C}) like the names, counts of at least "
                f"one example, got {checks.describe(M)}"
            )

    @property
    def support(self) -> np.ndarray:
        """Σ_j M_ij: how many examples each class has.  ``(C,)``"""
        return self.confusion.sum(axis=1)

    @property
    def by_class(self) -> Scores:
        right = self.confusion.diagonal()
        taken = self.confusion.sum(axis=0)  # (C,) predictions of each class
        support = self.support
        return Scores(
            _ratio(right, taken), _ratio(right, support), _ratio(2 * right, support + taken)
        )

    @property
    def accuracy(self) -> float:
        """Σ_i M_ii / N."""
        return float(self.confusion.trace() / self.confusion.sum())

    @property
    def matthews(self) -> float:
        """The correlation of labels and predictions, from −1 to 1; 0 for a constant answer.

        With N examples, of which M_ii are correct, t_i = Σ_j M_ij have class i, and
        p_i = Σ_j M_ji are predicted as class i::

            (N Σ_i M_ii − Σ_i t_i p_i) / √((N² − Σ_i p_i²) (N² − Σ_i t_i²))

        For two classes this is Matthews' correlation coefficient (1975), for more Gorodkin's
        (2004).  If all labels or all predictions have the same class, it is 0/0, defined as 0.
        """
        M = [[int(count) for count in row] for row in self.confusion]  # N² may exceed 64 bits
        t, p = [sum(row) for row in M], [sum(column) for column in zip(*M, strict=True)]
        N, right = sum(t), sum(M[i][i] for i in range(len(M)))
        spread = [N * N - sum(count * count for count in counts) for counts in (p, t)]
        if 0 in spread:
            return 0.0
        cross = N * right - sum(a * b for a, b in zip(t, p, strict=True))
        return cross / math.sqrt(spread[0] * spread[1])

    @property
    def macro(self) -> Scores:
        """The unweighted mean over the classes."""
        return Scores(*(float(score.mean()) for score in self.by_class))

    @property
    def weighted(self) -> Scores:
        """The mean over the classes, weighted by their support."""
        share = self.support / self.support.sum()
        return Scores(*(float(share @ score) for score in self.by_class))

    def as_dict(self) -> dict[str, dict[str, float]]:
        """``{class: {"precision", "recall", "f1", "support"}}``, the two averages at the end."""
        keys = (*Scores._fields, "support")
        columns = zip(*(column.tolist() for column in (*self.by_class, self.support)), strict=True)
        rows = dict(zip(self.names, columns, strict=True))
        total = int(self.support.sum())
        rows |= {"macro avg": (*self.macro, total), "weighted avg": (*self.weighted, total)}
        return {name: dict(zip(keys, row, strict=True)) for name, row in rows.items()}

    def plot(self, path: str | os.PathLike[str] | None = None) -> Picture:
        """Plot the confusion matrix: for each class (row), the share predicted as each (column).

        Up to ten classes also show the counts M_ij.  A notebook displays the returned figure;
        with ``path`` it is also written there, in the format of the suffix (png, svg, pdf).
        """
        return plots.confusion(self.names, self.confusion, path)

    def __str__(self) -> str:
        rows = self.as_dict()
        width = max(map(len, rows))
        lines = [f"{'':<{width}}  precision  recall      f1  support"]
        lines += [
            f"{name:<{width}}  {row['precision']:9.4f}  {row['recall']:6.4f}  {row['f1']:6.4f}"
            f"  {row['support']:7d}"
            for name, row in rows.items()
        ]
        return "\n".join([*lines, f"accuracy {self.accuracy:.4f}"])


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """part / whole, and 0 where both are 0."""
    return part / np.maximum(whole, 1)


def class_report(labels: Array, predictions: Array, names: Sequence[str]) -> ClassReport:
    """The :class:`ClassReport` of predictions ``(N,)`` for labels ``(N,)``; ``names[label]``."""
    if not isinstance(names, Sequence) or not all(isinstance(name, str) for name in names):
        raise ValueError(
            f"class_report: expected names to be one string per class, got {checks.describe(names)}"
        )
    return ClassReport(tuple(names), confusion_matrix(labels, predictions, len(names)))
