"""Charts and tables of the report on BERT."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from minidl.pages import Chart, Prose, Series, Table, Told
from minidl.pages.colours import BLACK, function_colour
from minidl.study.charts import Block
from minidl.study.histories import mean_of
from minidl.study.sized_study import SET_UPS
from studies.bert.claims import DESTROYED, VANISHED
from studies.bert.networks import (
    FEW,
    MAJORITY,
    Figures,
    Network,
    arrival,
    last_change,
    majority_f1,
    published,
)
from studies.bert.training import (
    DATA_SETS,
    DESCRIBED,
    FUNCTIONS,
    PRETRAINED,
    SLOW,
    SLOWER,
    TESTED,
)

RUN, LEVEL = 4, 8  # the colours of lines that are not functions


def blocks_of(summary: Mapping[str, Any], data: str, row: str, way: str) -> list[Block]:
    """A network of the summary, one for each seed that it was trained with."""
    of = (data, row, way)
    return [b for b in summary["networks"] if (b["data"], b["row"], b["way"]) == of]


def shown(one: float | None, digits: int = 4) -> str:
    return "–" if one is None else f"{one:.{digits}f}"


def mean_score(summary: Mapping[str, Any], data: str, row: str, way: str, key: str) -> float:
    return float(np.mean([b[key] for b in blocks_of(summary, data, row, way)]))


def cause(figures: Figures, data: str, row: str) -> str:
    """Why a network gives one answer, by its figures before the first step."""
    lost = last_change(figures.networks[data, row]).value > DESTROYED
    share = 10 ** arrival(figures, data, row).value
    vanished = share < VANISHED
    if not math.isfinite(share):
        return "not known"
    if lost and vanished:
        return "destroyed, and the gradient vanishes"
    return (
        "destroyed before the first step"
        if lost
        else ("the gradient vanishes" if vanished else "neither")
    )


def scores_chart(summary: Mapping[str, Any]) -> Chart:
    series, theirs, rows = [], published().networks, list(FUNCTIONS)
    for data, title in DATA_SETS.items():
        level = majority_f1(MAJORITY[data])
        lines = [
            ("as run", RUN, [mean_score(summary, data, r, "as_run", "weighted_f1") for r in rows]),
            ("published", BLACK, [theirs[data, row].weighted_f1 for row in rows]),
            ("always the more frequent class", LEVEL, [level] * len(rows)),
        ]
        for name, colour, values in lines:
            percent = [100 * value for value in values]
            series.append(Series(name, rows, percent, colour, name == "published", title))
    about = f"Weighted F1 on the {TESTED:,} test sentences, with each function in every block."
    return Chart(
        *("Scores with each function", about, "function", "weighted F1, %", series),
        from_zero=False,
        name="scores",
    )


def scores(summary: Mapping[str, Any]) -> Iterator[Told]:
    """A table for each data set; Matthews beside weighted F1."""
    theirs = published()
    for data, title in DATA_SETS.items():
        rows = []
        for row in FUNCTIONS:
            study, block = theirs.networks[data, row], mean_block(summary, data, row, "as_run")
            cells_ = [row, shown(study.accuracy, 3), shown(study.weighted_f1)]
            cells_ += ["one class" if study.has_one_answer else "both", *_told(block)]
            is_other = row in DESCRIBED
            described = mean_block(summary, data, row, "as_described") if is_other else None
            cells_ += ["–"] * 4 if described is None else _told(described)
            rows.append(cells_)
        head = ["function", "published accuracy", "F1", "answers"]
        for name in SET_UPS.values():
            head += [f"{name}: accuracy", "F1", "Matthews", "answers"]
        yield Table(f"{title}, after the last epoch", head, rows)
    yield Prose([SCORES])


SCORES = (
    "The more frequent class makes up 0.708 of the test sentences of CoLA and 0.558 of those of "
    "SST-2. Always giving this answer results in a weighted F1 of 0.5870 and 0.3997 and a Matthews "
    "correlation of 0: the published rows with these figures did not learn. “One class”: the other "
    f"class is the answer to fewer than {100 * FEW:.0f}% of the sentences. As described, only "
    "ReLU², GLU and SwiGLU differ."
)


def _plain(block: Block) -> dict[str, Any]:
    scores = {k: block[k] for k in ("accuracy", "weighted_f1", "matthews")}
    return scores | {"rarer": Network.of(block).rarer_answer}


def mean_block(summary: Mapping[str, Any], data: str, row: str, way: str) -> dict[str, Any]:
    """The means over the seeds."""
    found: dict[str, Any] = mean_of([_plain(b) for b in blocks_of(summary, data, row, way)])
    return found


def _told(block: Mapping[str, Any]) -> list[str]:
    scores = [shown(block["accuracy"], 3), shown(block["weighted_f1"]), shown(block["matthews"], 3)]
    return [*scores, "one class" if block["rarer"] < FEW else "both"]


def _lines(summary: Mapping[str, Any], key: str, when: str) -> Iterator[Series]:
    """A figure of each block before the first step, a line for each function."""
    black = 0
    for row, function in FUNCTIONS.items():
        colour = function_colour(function)
        for data, title in DATA_SETS.items():
            (block, *_) = blocks_of(summary, data, row, "as_run")
            values = np.array(block[key] if when else block["before"][key], float)
            y = values[-1] if when else values.mean(axis=0)
            names = [f"block {i + 1}" for i in range(summary["model"]["blocks"])]
            names += ["classifier"][: len(y) - len(names)]
            where = {"when": when or "before the first step"} if key == "gradients" else {}
            variant = black + 1 if colour == BLACK else 0
            yield Series(row, names, y.tolist(), colour, panel=title, where=where, variant=variant)
        black += colour == BLACK


def before(summary: Mapping[str, Any], figures: Figures) -> list[Told]:
    changes = Chart(
        "Change of each block's output",
        "‖y − y₀‖ / ‖y₀‖ over the tokens of 64 training sentences, before the first step: y with "
        "the function in every block, y₀ with GELU. For unrelated vectors of the same length, it "
        "is 1.41.",
        *("block", "relative change", list(_lines(summary, "change", ""))),
        joined=True,
        name="change",
    )
    alike = Chart(
        "Similarity of different sentences",
        "Mean cosine between the states of the first token of any two of 16 sentences, before the "
        "first step. At 1, all sentences look the same to the classifier.",
        *("block", "cosine", list(_lines(summary, "likeness", ""))),
        joined=True,
        name="likeness",
    )
    rows = []
    for row in FUNCTIONS:
        told = [row]
        for data in DATA_SETS:
            network = figures.networks[data, row]
            told += [
                shown(last_change(network).value, 2),
                f"{10 ** arrival(figures, data, row).value:.2g}",
                cause(figures, data, row) if network.has_one_answer else "both answers",
            ]
        rows.append(told)
    head = ["function"]
    for title in DATA_SETS.values():
        head += [f"{title}: change", "gradient that arrives (GELU: 1)", "what the run shows"]
    note = (
        "The change is that of the last block's output; the gradient that arrives is ‖∂L/∂θ‖ of "
        "the first block over that of the classifier. Above a change of "
        f"{DESTROYED:g} the representation counts as destroyed, below {VANISHED} the gradient as "
        "vanishing; only networks that end with one answer to everything are judged."
    )
    return [
        changes,
        alike,
        Table("Destroyed representation or vanishing gradient", head, rows),
        Prose([note]),
    ]


def gradients(summary: Mapping[str, Any]) -> Chart:
    series = [*_lines(summary, "gradients", ""), *_lines(summary, "gradients", "after training")]
    return Chart(
        "Gradient of each block",
        "‖∂L/∂θ‖ over all parameters of a block, and of the classifier: before the first step for "
        "16 training sentences (mean over four batches), after training for 64; L is the summed "
        "loss.",
        *("block", "‖∂L/∂θ‖", series, ("log", "linear")),
        joined=True,
        name="gradients",
    )


def controls(summary: Mapping[str, Any]) -> Table:
    rows = []
    controls = [(PRETRAINED, "fresh", "GELU, new output matrices")]
    controls += [(row, "slow", f"{row}, smaller learning rate") for row in SLOW]
    for row, way, name in sorted(controls, key=lambda control: list(FUNCTIONS).index(control[0])):
        cells_ = [name]
        for data in DATA_SETS:
            cells_ += _told(mean_block(summary, data, row, way))[1:]
            cells_.append(_told(mean_block(summary, data, row, "as_run"))[2])
        rows.append(cells_)
    head = ["network"]
    for title in DATA_SETS.values():
        head += [f"{title}: F1", "Matthews", "answers", "Matthews as run"]
    return Table("Controls that the study lacks", head, rows)


CONTROLS = (
    "New output matrices: the second matrix of each feed-forward part is drawn anew, as for GLU "
    f"and SwiGLU as run. Smaller learning rate: {SLOWER:g} times that of the other networks."
)
