"""The figures of the study of adaptive activation functions that its claims are about."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from minidl.study.recording import History
from studies.adaptive_activations.training import DEPTHS, FULL, FUNCTIONS, Outcome, S, Shapes

PUBLISHED_FILE = Path(__file__).with_name("published.json")


@dataclass(frozen=True)
class Series:
    """One training, by epoch."""

    train_loss: np.ndarray
    test_loss: np.ndarray
    test_accuracy: np.ndarray
    seconds: np.ndarray | None = None  # (epochs,)

    @classmethod
    def of(cls, history: History) -> Series:
        return cls(
            np.array(history.train_loss),
            np.array(history.test_loss),
            np.array(history.test_accuracy),
            np.array(history.seconds),
        )


@dataclass(frozen=True)
class Figures:
    """All that the claims are about, in one set-up; what is not reported is left out."""

    hinges: Mapping[int, Series]  # by S, table 21
    functions: Mapping[str, Series]  # table 22
    test_images: int
    depths: Mapping[int, Mapping[str, Series]] = field(default_factory=dict)
    shapes: Shapes = field(default_factory=dict)
    alone: bool = False  # nothing else was trained at the same time

    @classmethod
    def of(
        cls,
        outcomes: Mapping[tuple[str, str], Outcome],
        key: str,
        test_images: int,
        alone: bool = False,
    ) -> Figures:
        """Those of one seed ``as_run`` or ``as_described``."""

        def group(name: str) -> dict[str, Series]:
            return {b: Series.of(o.history) for (a, b), o in outcomes.items() if a == name}

        functions = group("functions_as_described")
        apl = outcomes["functions_as_described", "apl"]
        if key == "as_run":  # leaky ReLU is the same; APL has no function after its dense layers
            apl = outcomes["hinges_as_described", str(S)]
            changed = {"apl": Series.of(apl.history), **group("functions_as_run")}
            functions = {name: (functions | changed)[name] for name in FUNCTIONS}
        return cls(
            {int(name): series for name, series in group(f"hinges_{key}").items()},
            functions,
            test_images,
            {depth: group(f"depth_{depth}") for depth in DEPTHS},
            apl.shapes,
            alone,
        )


def published(epochs: int = FULL.epochs) -> Figures:
    """The study's figures after so many epochs: table 22 comes from the log.

    Table 21 has the accuracy after the last epoch only.
    """
    study = json.loads(PUBLISHED_FILE.read_text(encoding="utf-8"))
    none = np.empty(0)

    def series(log: dict[str, Any]) -> Series:
        accuracy = np.array(log["test_accuracy"]) / 100
        train_loss, test_loss = (np.array(log[key]) for key in ("train_loss", "test_loss"))
        return Series(train_loss[:epochs], test_loss[:epochs], accuracy[:epochs])

    by_s = study["table_21"]["accuracy_by_S"]
    return Figures(
        {int(s): Series(none, none, np.array([a / 100])) for s, a in by_s.items()}
        if epochs >= FULL.epochs
        else {},
        {name: series(log) for name, log in study["epoch_logs"].items()},
        test_images=10_000,
    )


def last(series: Series) -> float:
    return float(series.test_accuracy[-1])


def shape(a: np.ndarray, b: np.ndarray, x: np.ndarray) -> np.ndarray:
    """h(x) of every channel, (points, C), from a and b (S, C)."""
    hinges = a * np.maximum(0, b - x[:, None, None])  # (points, S, C)
    return np.maximum(x, 0)[:, None] + hinges.sum(axis=1)
