"""The networks of the BERT study that its claims are about: the published ones, and ours."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minidl.study import NotJudged
from minidl.study.claims import known, read_published
from minidl.study.estimates import NOT_KNOWN, Estimate, share
from studies.bert.training import DATA_SETS, FUNCTIONS, PRETRAINED, TESTED, class_report_of

# The share of the test sentences in the more frequent class, which is label 1 in both sets.
MAJORITY = {"cola": 0.708, "sst-2": 0.558}
FEW = 0.02  # share of the sentences below which the rarer answer does not count


@dataclass(frozen=True)
class Network:
    """One network of one run, as far as the claims need it; None: not reported."""

    accuracy: float
    weighted_f1: float
    rarer_answer: float | None  # share of the test sentences that get the answer given less often
    matthews: float | None = None
    change: np.ndarray | None = None  # (batches, blocks) before the first step
    gradients: np.ndarray | None = None  # (batches, blocks + 1), the last of the classifier
    seconds: float | None = None  # of an epoch
    times: Sequence[float] = ()  # of each epoch
    tested: int = TESTED
    correct: str = ""  # which sentences got the right answer (see minidl.study.correct)

    @classmethod
    def of(cls, block: Mapping[str, Any]) -> Network:
        """Ours, from a network of a summary."""
        report = class_report_of(block["confusion"])
        confusion = report.confusion
        return cls(
            report.accuracy,
            report.weighted.f1,
            float(confusion.sum(axis=0).min() / confusion.sum()),
            report.matthews,
            np.array(block["before"]["change"], float),
            np.array(block["before"]["gradients"], float),
            float(np.mean(block["seconds"])),
            block["seconds"],
            int(confusion.sum()),
            (block.get("correct") or [""])[-1],
        )

    @property
    def has_one_answer(self) -> bool:
        return self.rarer_answer is not None and self.rarer_answer < FEW

    def score(self) -> Estimate:
        return share(self.accuracy, self.tested, self.correct)

    def arrives(self) -> np.ndarray:
        """log₁₀ of the first block's gradient over the classifier's.  (batches,)"""
        gradients = known(self.gradients)
        with np.errstate(divide="ignore", invalid="ignore"):  # of gradients that are 0
            return np.log10(gradients[:, 0] / gradients[:, -1])


def majority_f1(share_of: float) -> float:
    """The weighted F1 of a network that always answers the class with this share."""
    return share_of * 2 * share_of / (1 + share_of)


@dataclass(frozen=True)
class Figures:
    """All networks of one seed in one set-up, by data set and row; later seeds have only a few."""

    networks: Mapping[tuple[str, str], Network]
    fresh: Mapping[str, Network] = field(default_factory=dict)  # by data set
    slow: Mapping[tuple[str, str], Network] = field(default_factory=dict)

    @classmethod
    def of(cls, blocks: Sequence[Mapping[str, Any]], key: str) -> Figures:
        """Those of one seed ``as_run`` or ``as_described``; a function is the same in both."""

        def way(name: str) -> dict[tuple[str, str], Network]:
            return {(b["data"], b["row"]): Network.of(b) for b in blocks if b["way"] == name}

        networks = way("as_run") | (way("as_described") if key == "as_described" else {})
        fresh = {data: network for (data, _), network in way("fresh").items()}
        return cls(networks, fresh, way("slow"))

    def on(self, data: str) -> dict[str, Network]:
        """All functions on a data set, by row; a seed that has only a few is not judged."""
        if len(self.networks) < len(DATA_SETS) * len(FUNCTIONS):
            raise NotJudged
        return {row: self.networks[data, row] for row in FUNCTIONS}

    @property
    def failed(self) -> dict[tuple[str, str], Network]:
        """The networks with a function other than GELU that give one answer to everything."""
        return {
            (data, row): network
            for (data, row), network in self.networks.items()
            if network.has_one_answer and row != PRETRAINED
        }


def published() -> Figures:
    """Tables 17 to 20."""
    tables = read_published(__file__)
    first, second = ({**tables[f"table_{i}"]["rows"]} for i in (19, 20))
    times = tables["table_17"]["rows"], tables["table_18"]["rows"]
    networks = {}
    for data, name in (("cola", "Cola"), ("sst-2", "SST")):
        time = "Cola Mean Time" if data == "cola" else "SST Time"
        for row in FUNCTIONS:
            scores, seconds = (first, times[0]) if row in times[0][time] else (second, times[1])
            accuracy, f1 = (scores[f"{name} Test {what}"][row] for what in ("Accuracy", "F1"))
            one = accuracy == MAJORITY[data] and abs(f1 - majority_f1(accuracy)) < 5e-5
            networks[data, row] = Network(
                accuracy, f1, 0.0 if one else None, 0.0 if one else None, seconds=seconds[time][row]
            )
    return Figures(networks)


def of_batches(values: np.ndarray) -> Estimate:
    """A mean over batches of sentences."""
    if len(values) < 2 or not np.isfinite(values).all():
        return NOT_KNOWN
    error = float(values.std(ddof=1)) / math.sqrt(len(values))
    return Estimate(float(values.mean()), error, len(values) - 1)


def arrival(figures: Figures, data: str, row: str) -> Estimate:
    """log₁₀ of the share of the gradient that arrives, relative to the pretrained network's."""
    one, gelu = figures.networks[data, row], figures.networks[data, PRETRAINED]
    return of_batches(one.arrives() - gelu.arrives())  # on the same sentences


def last_change(network: Network) -> Estimate:
    """The relative change of the last block's output from the pretrained network's."""
    return of_batches(known(network.change)[:, -1])
