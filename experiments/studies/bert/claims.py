"""The claims of the BERT study, and how each is judged."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from minidl.study import Evidence, Judged, Statement
from minidl.study.claims import BEYOND
from minidl.study.estimates import NOT_KNOWN, Estimate, over_epochs, share
from studies.bert.training import DATA_SETS, FUNCTIONS, PRETRAINED, TESTED, class_report_of

PUBLISHED_FILE = Path(__file__).with_name("published.json")
LEARN = ("ReLU", "GELU", "LReLU")  # according to the study
OTHERS = tuple(row for row in FUNCTIONS if row not in LEARN)
# How often the more frequent class is the answer, of the test sentences: label 1 in both sets.
MAJORITY = {"cola": 0.708, "sst-2": 0.558}
FEW = 0.02  # of the sentences: below it the rarer answer does not count, and a network has one
VANISHED = 0.1  # of the pretrained network's share that arrives
DESTROYED = 1.0  # of its size: a state that has changed by more is not the pretrained one

BEST = "GELU performs best on both data sets"
ONE_ANSWER = "All functions but GELU, ReLU and leaky ReLU do not learn"
VANISHES = "They do not learn because gradients vanish from the output to the input"
IS_DESTROYED = f"{BEYOND}: the functions that fail change what the network says before any training"


@dataclass(frozen=True)
class Network:
    """One network of one run, as far as the claims are about it; None is not reported."""

    accuracy: float
    weighted_f1: float
    rarer_answer: float | None  # share of the test sentences that get the answer given less often
    matthews: float | None = None
    change: np.ndarray | None = None  # (batches, blocks) before the first step
    gradients: np.ndarray | None = None  # (batches, blocks + 1), of the classifier in the end
    seconds: float | None = None  # of an epoch
    times: Sequence[float] = ()  # of each epoch
    tested: int = TESTED

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
        )

    @property
    def has_one_answer(self) -> bool:
        return self.rarer_answer is not None and self.rarer_answer < FEW

    def score(self) -> Estimate:
        return share(self.accuracy, self.tested)

    def arrives(self) -> np.ndarray:
        """log₁₀ of the first block's gradient over the classifier's.  (batches,)"""
        assert self.gradients is not None
        with np.errstate(divide="ignore", invalid="ignore"):  # of gradients that are 0
            return np.log10(self.gradients[:, 0] / self.gradients[:, -1])


def majority_f1(share_of: float) -> float:
    """The weighted F1 of a network that always answers the class with this share."""
    return share_of * 2 * share_of / (1 + share_of)


@dataclass(frozen=True)
class Figures:
    """All networks of one seed in one set-up, by data set and row; some seeds have but a few."""

    networks: Mapping[tuple[str, str], Network]
    fresh: Mapping[str, Network] = field(default_factory=dict)  # by data set
    slow: Mapping[tuple[str, str], Network] = field(default_factory=dict)
    alone: bool = False  # nothing else was trained at the same time

    @classmethod
    def of(cls, blocks: Sequence[Mapping[str, Any]], key: str, alone: bool) -> Figures:
        """Those of one seed ``as_run`` or ``as_described``; a function is the same in both."""

        def way(name: str) -> dict[tuple[str, str], Network]:
            return {(b["data"], b["row"]): Network.of(b) for b in blocks if b["way"] == name}

        networks = way("as_run") | (way("as_described") if key == "as_described" else {})
        fresh = {data: network for (data, _), network in way("fresh").items()}
        return cls(networks, fresh, way("slow"), alone)

    @property
    def is_whole(self) -> bool:
        """Whether all functions are in it."""
        return len(self.networks) == len(DATA_SETS) * len(FUNCTIONS)

    @property
    def failed(self) -> dict[tuple[str, str], Network]:
        """Those with another function than GELU that give one answer to everything."""
        return {
            (data, row): network
            for (data, row), network in self.networks.items()
            if network.has_one_answer and row != PRETRAINED
        }


def published() -> Figures:
    """Tables 17 to 20."""
    tables = json.loads(PUBLISHED_FILE.read_text(encoding="utf-8"))
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


def shown(one: float | None, digits: int = 4) -> str:
    return "–" if one is None else f"{one:.{digits}f}"


def _each(figures: Figures, of: Callable[[str], str]) -> str:
    return "; ".join(f"{title} {of(data)}" for data, title in DATA_SETS.items())


# -- what is learned ------------------------------------------------------------------------------


def gelu_best(figures: Figures) -> Judged:
    if not figures.is_whole:
        return None
    numbers, best = {}, {}
    for data, title in DATA_SETS.items():
        gelu = figures.networks[data, PRETRAINED]
        for row in FUNCTIONS:
            if row != PRETRAINED:
                one = figures.networks[data, row]
                numbers[f"{title}, GELU − {row}"] = gelu.score() - one.score()
        best[data] = max(
            (row for row in FUNCTIONS if row != PRETRAINED),
            key=lambda row: figures.networks[data, row].accuracy,
        )

    def of(data: str) -> str:
        other = figures.networks[data, best[data]]
        gelu = figures.networks[data, PRETRAINED]
        return f"GELU {gelu.accuracy:.3f}, the best other {best[data]} {other.accuracy:.3f}"

    return Evidence(_each(figures, of), numbers)


def three_learn(figures: Figures) -> Judged:
    if not figures.is_whole:
        return None
    numbers = {
        f"{title}, {row}": share(figures.networks[data, row].weighted_f1, TESTED)
        - majority_f1(MAJORITY[data])
        for data, title in DATA_SETS.items()
        for row in LEARN
    }

    def of(data: str) -> str:
        return ", ".join(f"{row} {figures.networks[data, row].weighted_f1:.4f}" for row in LEARN)

    return Evidence(_each(figures, of), numbers)


def others_have_one_answer(figures: Figures) -> Judged:
    if not figures.is_whole:
        return None
    numbers, many = {}, {}
    for data, title in DATA_SETS.items():
        for row in OTHERS:
            rarer = figures.networks[data, row].rarer_answer
            assert rarer is not None
            numbers[f"{title}, {row}, {FEW} − its share"] = FEW - share(rarer, TESTED)
        many[data] = [row for row in OTHERS if (data, row) in figures.failed]

    def of(data: str) -> str:
        return f"{len(many[data])} of {len(OTHERS)} have one answer"

    return Evidence(_each(figures, of), numbers)


def exchange_costs(figures: Figures) -> Judged:
    if not figures.is_whole:
        return None
    numbers, means = {}, {}
    for data, title in DATA_SETS.items():
        others = [figures.networks[data, row].score() for row in FUNCTIONS if row != PRETRAINED]
        mean = sum(others[1:], start=others[0]) * (1 / len(others))
        gelu = figures.networks[data, PRETRAINED].score()
        numbers[f"{title}, GELU − mean of the others"] = gelu - mean
        means[data] = f"GELU {gelu.value:.3f}, mean of the others {mean.value:.3f}"
    return Evidence(_each(figures, means.__getitem__), numbers)


# -- why not --------------------------------------------------------------------------------------


def of_batches(values: np.ndarray) -> Estimate:
    """A mean over batches of sentences."""
    if len(values) < 2 or not np.isfinite(values).all():
        return NOT_KNOWN
    error = float(values.std(ddof=1)) / math.sqrt(len(values))
    return Estimate(float(values.mean()), error, len(values) - 1)


def arrival(figures: Figures, data: str, row: str) -> Estimate:
    """log₁₀ of the share of the gradient that arrives, against the pretrained network's."""
    one, gelu = figures.networks[data, row], figures.networks[data, PRETRAINED]
    return of_batches(one.arrives() - gelu.arrives())  # on the same sentences


def last_change(network: Network) -> Estimate:
    """By how much of its size the last block's output differs from the pretrained one's."""
    assert network.change is not None
    return of_batches(network.change[:, -1])


def gradients_vanish(figures: Figures) -> Judged:
    if not figures.is_whole or figures.networks["cola", PRETRAINED].gradients is None:
        return None
    numbers = {
        f"{DATA_SETS[data]}, {row}, decades below {VANISHED}": math.log10(VANISHED)
        - arrival(figures, data, row)
        for data, row in figures.failed
    }
    if not numbers:
        return None
    shares = [10 ** arrival(figures, *of).value for of in figures.failed]
    said = f"{min(shares):.2g} to {max(shares):.2g} times GELU's, {len(shares)} networks"
    return Evidence(said, numbers)


def representation_destroyed(figures: Figures) -> Judged:
    if not figures.is_whole or figures.networks["cola", PRETRAINED].change is None:
        return None
    numbers, failed, others = {}, [], []
    for (data, row), network in figures.networks.items():
        name, change = f"{DATA_SETS[data]}, {row}", last_change(network)
        if (data, row) in figures.failed:
            failed.append(change.value)
            numbers[f"{name}, change − {DESTROYED}"] = change - DESTROYED
        elif row != PRETRAINED:
            others.append(change.value)
    if not numbers:
        return None
    said = f"{min(failed):.2f} to {max(failed):.2f} of its size in the {len(failed)} that fail"
    if others:
        said += f", {min(others):.2f} to {max(others):.2f} in the {len(others)} others"
    return Evidence(said, numbers)


def fresh_matrices_cost(figures: Figures) -> Judged:
    if not figures.fresh:
        return None
    numbers = {
        f"{DATA_SETS[data]}, GELU − with new matrices": figures.networks[data, PRETRAINED].score()
        - network.score()
        for data, network in figures.fresh.items()
    }

    def of(data: str) -> str:
        pretrained = figures.networks[data, PRETRAINED]
        return f"{pretrained.accuracy:.3f}, new {figures.fresh[data].accuracy:.3f}"

    return Evidence(_each(figures, of), numbers)


def gates_as_new(figures: Figures) -> Judged:
    """On CoLA and SST-2 neither gate is behind GELU with new matrices by more than 5 points."""
    if not figures.is_whole or not figures.fresh:
        return None
    gates = ("GLU", "SwiGLU")
    numbers = {
        f"{DATA_SETS[data]}, {row} − GELU with new matrices + 0.05": (
            figures.networks[data, row].score() - fresh.score() + 0.05
        )
        for data, fresh in figures.fresh.items()
        for row in gates
    }

    def of(data: str) -> str:
        each = ", ".join(f"{row} {figures.networks[data, row].accuracy:.3f}" for row in gates)
        return f"{each}, GELU new {figures.fresh[data].accuracy:.3f}"

    return Evidence(_each(figures, of), numbers)


def smaller_rate_helps(figures: Figures) -> Judged:
    """Those that have one answer with the study's learning rate."""
    numbers = {
        f"{DATA_SETS[of[0]]}, {of[1]}": share(network.weighted_f1, TESTED)
        - share(figures.networks[of].weighted_f1, TESTED)
        for of, network in figures.slow.items()
        if of in figures.failed
    }
    if not numbers:
        return None
    tried = [network for of, network in figures.slow.items() if of in figures.failed]
    learned = sum(not network.has_one_answer for network in tried)
    return Evidence(f"{learned} of {len(tried)} have more than one answer then", numbers)


# -- times ----------------------------------------------------------------------------------------


def _times(figures: Figures, row: str, first: bool) -> Judged:
    """Whether a function is the fastest, or the slowest, of those without a gate."""
    if not figures.is_whole:
        return None
    rows = [r for r in FUNCTIONS if r not in ("GLU", "SwiGLU") and r != row]
    numbers, said = {}, {}
    for data, title in DATA_SETS.items():
        seconds = {r: figures.networks[data, r].seconds for r in (row, *rows)}
        known = {r: s for r, s in seconds.items() if s is not None}
        other = (min if first else max)(rows, key=lambda r: known[r])
        said[data] = f"{row} {known[row]:.1f} s, {other} {known[other]:.1f} s"
        if figures.alone:
            one, two = (over_epochs(figures.networks[data, r].times) for r in (row, other))
            numbers[title] = two - one if first else one - two
        else:
            numbers[title] = Estimate((known[other] - known[row]) * (1 if first else -1))
    return Evidence(_each(figures, said.__getitem__), numbers)


def relu_fastest(figures: Figures) -> Judged:
    return _times(figures, "ReLU", first=True)


def penalized_slowest(figures: Figures) -> Judged:
    return _times(figures, "Penalized Tanh", first=False)


ACCURACY = "test accuracy after the last epoch"
CLAIMS: list[Statement[Figures]] = [
    Statement(
        BEST,
        f"{ACCURACY}, against each other function on each set",
        gelu_best,
        "The published lead over ReLU and leaky ReLU on SST-2 is within chance.",
    ),
    Statement(
        "GELU, ReLU and leaky ReLU learn",
        "weighted F1 above that of always answering the more frequent class (0.5870 and 0.3997), "
        "as uncertain as a share of as many sentences",
        three_learn,
        "Accuracy cannot tell: the published 0.683 of leaky ReLU on CoLA is below the 0.708 that "
        "the more frequent class has.",
    ),
    Statement(
        ONE_ANSWER,
        f"one of the two answers is given to fewer than {100 * FEW:.0f}% of the test sentences, "
        "with each of the eight others on each set",
        others_have_one_answer,
        "The published weighted F1 of 0.5870 and 0.3997 are exactly those of one answer to "
        "everything, whose Matthews correlation is 0.",
    ),
    Statement(
        VANISHES,
        "before the first step, of each network that has one answer: gradient of the first block "
        f"over that of the classifier, ‖∂L/∂θ‖, below {VANISHED} of GELU's",
        gradients_vanish,
        "The study shows the gradients during training. A network that has found one answer has "
        "small gradients because nothing else can be learned from its last states; before the "
        "first step the question is still open.",
    ),
    Statement(
        "Exchanging the function that a network was pretrained with costs accuracy",
        f"{ACCURACY}: GELU against the mean of the ten others, on each set",
        exchange_costs,
    ),
    Statement(
        "ReLU is the fastest but for GLU and SwiGLU",
        "seconds of an epoch on each set; compared only where nothing else ran beside them",
        relu_fastest,
    ),
    Statement(
        "Penalized tanh takes the longest",
        "seconds of an epoch on each set; compared only where nothing else ran beside them",
        penalized_slowest,
        "Its gradient cannot be why: a step does the same work whatever its numbers are.",
    ),
    Statement(
        IS_DESTROYED,
        "before the first step, of each network that has one answer: ‖y − y₀‖ / ‖y₀‖ of the last "
        f"block's output y, y₀ that of the pretrained network, above {DESTROYED:g}",
        representation_destroyed,
        "Vectors of one length that have nothing to do with one another differ by √2 = 1.41 of it.",
    ),
    Statement(
        f"{BEYOND}: GELU itself loses by new output matrices",
        f"{ACCURACY}, GELU as it is against GELU with new output matrices",
        fresh_matrices_cost,
        "As run, GLU and SwiGLU have such matrices, since theirs have half as many rows: what they "
        "are compared with has pretrained ones.",
    ),
    Statement(
        f"{BEYOND}: GLU and SwiGLU are not worse than GELU with new output matrices",
        f"{ACCURACY}, less than 5 points behind on each set",
        gates_as_new,
    ),
    Statement(
        f"{BEYOND}: with a smaller learning rate the functions that fail do better",
        "weighted F1 with a fifth of the learning rate, of each function that was tried and has "
        "one answer otherwise",
        smaller_rate_helps,
    ),
]
