"""The figures of the study of adaptive activation functions that its claims are about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from minidl.study.claims import read_published
from minidl.study.series import Series
from studies.adaptive_activations.training import (
    DEPTHS,
    FULL,
    FUNCTIONS,
    HINGES,
    Outcome,
    S,
    Shapes,
)

N = TypeVar("N")  # what is kept of a network
IMAGES: dict[str, Any] = {"train_images": FULL.train_images, "test_images": FULL.test_images}


@dataclass(frozen=True)
class Figures:
    """All figures that the claims need, in one set-up; those not reported are left out."""

    hinges: Mapping[int, Series]  # by S, table 21
    functions: Mapping[str, Series]  # table 22
    depths: Mapping[int, Mapping[str, Series]] = field(default_factory=dict)
    shapes: Shapes = field(default_factory=dict)

    @classmethod
    def of(cls, outcomes: Mapping[tuple[str, str], Outcome], key: str, **more: Any) -> Figures:
        """Those of one seed ``as_run`` or ``as_described``; ``more`` is for each series."""

        def series(outcome: Outcome) -> Series:
            return Series.of_history(outcome.history, **more)

        functions = functions_of(outcomes, key)
        return cls(
            {s: series(outcomes[f"hinges_{key}", str(s)]) for s in HINGES},
            {name: series(outcome) for name, outcome in functions.items()},
            {d: {f: series(outcomes[f"depth_{d}", f]) for f in FUNCTIONS} for d in DEPTHS},
            functions["apl"].shapes,
        )


def functions_of(networks: Mapping[tuple[str, str], N], key: str) -> dict[str, N]:
    """Those of table 22; as run, leaky ReLU is the same, and APL is the network of S = 5."""
    found = {name: networks["functions_as_described", name] for name in FUNCTIONS}
    if key == "as_run":
        found["apl"] = networks["hinges_as_described", str(S)]
        found["relu"] = networks["functions_as_run", "relu"]
    return found


def published(epochs: int = FULL.epochs) -> Figures:
    """The study's figures after so many epochs: table 22 comes from the log.

    Table 21 has the accuracy after the last epoch only.
    """
    study = read_published(__file__)
    hinges = {
        int(s): Series(test_accuracy=np.array([a / 100]), **IMAGES)
        for s, a in study["table_21"]["accuracy_by_S"].items()
    }
    functions = {
        name: Series(
            train_loss=np.array(log["train_loss"])[:epochs],
            test_loss=np.array(log["test_loss"])[:epochs],
            test_accuracy=np.array(log["test_accuracy"])[:epochs] / 100,
            **IMAGES,
        )
        for name, log in study["epoch_logs"].items()
    }
    return Figures(hinges if epochs >= FULL.epochs else {}, functions)


def last(series: Series) -> float:
    return float(series.test_accuracy[-1])


def shape(a: np.ndarray, b: np.ndarray, x: np.ndarray) -> np.ndarray:
    """h(x) of every channel, (points, C), from a and b (S, C)."""
    hinges = a * np.maximum(0, b - x[:, None, None])  # (points, S, C)
    return np.maximum(x, 0)[:, None] + hinges.sum(axis=1)
