"""The activation function of a pretrained BERT: what is declared of the study, and its report."""

from __future__ import annotations

import argparse
import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from minidl.models import BertSizes, pretrained
from minidl.pages import Chart, Prose, Series, Table, Told
from minidl.pages.colours import BLACK, function_colour
from minidl.study import Report, Rows, Run, Section, Task, TrainedStudy, judge, text_list
from minidl.study.charts import Block
from minidl.study.histories import epoch_rows, mean_of
from minidl.study.options import whole
from minidl.study.pairs import alone
from minidl.study.report import claims_section, held_in, in_both, sentence, set_up_section, word
from studies.activation_study.study import IN_DEPTH
from studies.bert.claims import (
    CLAIMS,
    DESTROYED,
    FEW,
    MAJORITY,
    VANISHED,
    VANISHES,
    Figures,
    Network,
    arrival,
    last_change,
    majority_f1,
    published,
    shown,
)
from studies.bert.training import (
    DATA_SETS,
    DESCRIBED,
    FULL,
    FUNCTIONS,
    PRETRAINED,
    REDUCED,
    SLOW,
    SLOWER,
    TESTED,
    Outcome,
    Size,
    Tokens,
    cells,
    originals,
    tokens,
    train,
)

SET_UPS = {"as_run": "as run", "as_described": "as described"}
WAYS = {"fresh": "GELU, new output matrices", "slow": "smaller learning rate"}
RUN, LEVEL = 4, 8  # the colours of what is no function
SENTENCES = {"cola": 7_551, "sst-2": 66_349}  # that the study trained on


class BertStudy(TrainedStudy):
    name = "bert"
    about = "Eleven activation functions in a pretrained BERT, on CoLA and SST-2."
    work = IN_DEPTH
    data = tuple(DATA_SETS)
    seeds = 3
    kind = Outcome
    keeps_weights = False
    reduced: Size = REDUCED

    def add_options(self, add: Any) -> None:
        add("--full", action="store_true", help="all sentences, as in the study; for a GPU")
        other = "model.safetensors of another BERT, with config.json and vocab.txt beside it"
        add("--weights", type=Path, metavar="FILE", help=f"{other} (default: MiniLM, downloaded)")
        add("--epochs", type=whole, metavar="N", help="of each training run (default: 3 on CoLA)")
        add("--sentences", type=whole, metavar="N", help="only the first N to train on")

    def check(self, chosen: argparse.Namespace) -> None:
        if chosen.sentences is not None and chosen.sentences < 64:
            raise ValueError("--sentences: expected 64 or more, as many as are looked at first")

    def size(self, chosen: argparse.Namespace) -> Size:
        size = FULL if chosen.full else self.reduced
        return replace(
            size,
            sentences=chosen.sentences or size.sentences,
            cola_epochs=chosen.epochs or size.cola_epochs,
            sst_2_epochs=chosen.epochs or size.sst_2_epochs,
        )

    def load(self, chosen: argparse.Namespace) -> list[Any]:
        try:
            source = pretrained(chosen.weights, chosen.data_dir, progress=not chosen.quiet)
        except ModuleNotFoundError as error:
            raise ValueError(str(error)) from error
        size = self.size(chosen)
        return [tokens(name, chosen.data_dir, source, size.sentences) for name in self.data]

    def tasks(self, run: Run) -> dict[str, Task[Outcome]]:
        size, found = self.size(run.chosen), dict[str, Task[Outcome]]()
        data: dict[str, Any] = {one.name: one for one in run.data}
        original = {
            name: originals(one.pretrained, one.train, run.device) for name, one in data.items()
        }
        for seed in run.seeds:
            for cell in cells(repeated=seed > run.chosen.seed):
                of = (size, data[cell.data], original[cell.data], run.device, run.record)
                found[cell.name(seed)] = functools.partial(train, cell, seed, *of)
        return found

    def summarise(self, run: Run, results: Mapping[str, Outcome]) -> dict[str, Any]:
        size, first = self.size(run.chosen), run.data[0]
        assert isinstance(first, Tokens)
        networks = []
        for seed in run.seeds:
            for cell in cells(repeated=seed > run.chosen.seed):
                block = results[cell.name(seed)].block()
                networks.append({**cell._asdict(), "seed": seed} | block)
        return {
            "size": asdict(size),
            "is_full_size": size == FULL,
            "model": asdict(first.pretrained.sizes),
            "is_minilm": run.chosen.weights is None,
            "train_sentences": {one.name: one.train_images for one in run.used},
            "seeds": list(run.seeds),
            "networks": networks,
        }

    def judge(self, summary: dict[str, Any], results: Mapping[str, Outcome]) -> None:
        summary["claims"] = {key: judged(summary, key) for key in SET_UPS}

    def tables(self, run: Run, results: Mapping[str, Outcome]) -> dict[str, Rows]:
        rows = [
            {"data": cell.data, "way": cell.way} | row
            for seed in run.seeds
            for cell in cells(repeated=seed > run.chosen.seed)
            for row in epoch_rows(seed, cell.row, results[cell.name(seed)].history)
        ]
        return {"epochs.csv": rows}

    def results(self, summary: Mapping[str, Any]) -> str:
        rows = [
            [run["verdict"], described["verdict"], run["claim"]]
            for run, described in zip(*summary["claims"].values(), strict=True)
        ]
        return text_list([[*SET_UPS.values(), "claim"], *rows])

    # -- the report -------------------------------------------------------------------------------

    def report(self, folder: Path, summary: Mapping[str, Any]) -> Report:
        claims = {title: summary["claims"][key] for key, title in SET_UPS.items()}
        figures = first_seed(summary, "as_run")
        note = "Text and run differ in ReLU², GLU and SwiGLU."
        return Report(
            "Another activation function in a pretrained BERT: CoLA and SST-2",
            self.work,
            "With eight of eleven functions in place of its GELU a pretrained BERT did not learn "
            "CoLA and SST-2, with ReLU and leaky ReLU it did. Is the reason that gradients vanish, "
            "as the study says?",
            answer(summary, figures),
            [scores_chart(summary)],
            held_in(claims),
            [
                claims_section(claims, CLAIMS, note),
                Section("The scores (tables 19 and 20)", list(_scores(summary))),
                Section("Before the first step", _before(summary, figures)),
                Section("The gradient of each block", [_gradients(summary)]),
                Section("Controls", [_controls(summary), Prose([CONTROLS])]),
                set_up_section(_set_up(summary), summary, [_sizes(summary)], NOTE),
            ],
            _warning(summary),
        )


def judged(summary: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    """The claims in a set-up of a summary."""
    runs = [
        Figures.of([b for b in summary["networks"] if b["seed"] == seed], key, alone(summary))
        for seed in summary["seeds"]
    ]
    return [claim.as_dict() for claim in judge(CLAIMS, published(), runs)]


def first_seed(summary: Mapping[str, Any], key: str) -> Figures:
    """The seed that has all functions."""
    seed = summary["seeds"][0]
    return Figures.of([b for b in summary["networks"] if b["seed"] == seed], key, False)


def blocks_of(summary: Mapping[str, Any], data: str, row: str, way: str) -> list[Block]:
    """A network of the summary, one for each seed that it was trained with."""
    of = (data, row, way)
    return [b for b in summary["networks"] if (b["data"], b["row"], b["way"]) == of]


def mean_score(summary: Mapping[str, Any], data: str, row: str, way: str, key: str) -> float:
    return float(np.mean([b[key] for b in blocks_of(summary, data, row, way)]))


def has_way(row: str, way: str) -> bool:
    return row in {"as_described": tuple(DESCRIBED), "fresh": (PRETRAINED,), "slow": SLOW}[way]


# -- what the report says -------------------------------------------------------------------------


def cause(figures: Figures, data: str, row: str) -> str:
    """Of a network that has one answer: what its numbers before the first step say."""
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


def answer(summary: Mapping[str, Any], figures: Figures) -> str:
    words = [word(summary["claims"][key], VANISHES) for key in SET_UPS]
    failed = figures.failed
    told = []
    for data, title in DATA_SETS.items():
        gelu = mean_score(summary, data, PRETRAINED, "as_run", "matthews")
        fresh = mean_score(summary, data, PRETRAINED, "fresh", "matthews")
        told.append(f"{gelu:.2f} on {title} with GELU, {fresh:.2f} with new output matrices")
    scored = f"the Matthews correlation is {'; '.join(told)}"
    if not failed:
        return f"Not to be judged: no function gives one answer to everything; {scored}."
    causes = [cause(figures, *of) for of in failed]
    lost = sum("destroyed" in one for one in causes)
    gone = sum("vanishes" in one for one in causes)
    return (
        f"{sentence(in_both(*words))}: before the first step less than a tenth of GELU's share of "
        f"the gradient arrives in {gone} of the {len(failed)} networks that end with one answer to "
        f"everything, and the last block's output has changed by more than its own size in "
        f"{lost}; {scored}."
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


def _scores(summary: Mapping[str, Any]) -> Iterator[Told]:
    """A table for each data set; Matthews beside weighted F1."""
    theirs = published()
    for data, title in DATA_SETS.items():
        rows = []
        for row in FUNCTIONS:
            study, block = theirs.networks[data, row], mean_block(summary, data, row, "as_run")
            cells_ = [row, shown(study.accuracy, 3), shown(study.weighted_f1)]
            cells_.append(_answers(study))
            cells_ += _told(block)
            described = blocks_of(summary, data, row, "as_described")
            cells_ += _told(mean_of([_plain(b) for b in described])) if described else ["–"] * 4
            rows.append(cells_)
        head = ["function", "published accuracy", "F1", "answers"]
        for name in SET_UPS.values():
            head += [f"{name}: accuracy", "F1", "Matthews", "answers"]
        yield Table(f"{title}, after the last epoch", head, rows)
    yield Prose([SCORES])


SCORES = (
    "The more frequent class has 0.708 of the test sentences of CoLA and 0.558 of those of SST-2. "
    "Answering it always gives a weighted F1 of 0.5870 and 0.3997, and a Matthews correlation of "
    "0: the published rows with these figures did not learn. “One class”: the other is the answer "
    f"to fewer than {100 * FEW:.0f}% of the sentences. As described, only ReLU², GLU and "
    "SwiGLU differ."
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


def _answers(network: Network) -> str:
    return "one class" if network.has_one_answer else "both"


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


def _before(summary: Mapping[str, Any], figures: Figures) -> list[Told]:
    changes = Chart(
        "Change of each block's output",
        "‖y − y₀‖ / ‖y₀‖ over the tokens of 64 training sentences, before the first step: y with "
        "the function in every block, y₀ with GELU. 1.41 is that of vectors that have nothing to "
        "do with one another.",
        *("block", "relative change", list(_lines(summary, "change", ""))),
        joined=True,
        name="change",
    )
    alike = Chart(
        "Likeness of different sentences",
        "Mean cosine of the states of the first token of any two of 16 sentences, before the first "
        "step. At 1 all sentences look the same to the classifier.",
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
        head += [f"{title}: change", "gradient that arrives, GELU's = 1", "what the run shows"]
    note = (
        "Change: of the last block's output. Gradient that arrives: ‖∂L/∂θ‖ of the first block "
        f"over that of the classifier. A row is destroyed above {DESTROYED:g}, its gradient "
        f"vanishes below {VANISHED}; both are asked of networks that end with one answer to "
        "everything."
    )
    return [changes, alike, Table("Destroyed or vanished", head, rows), Prose([note])]


def _gradients(summary: Mapping[str, Any]) -> Chart:
    series = [*_lines(summary, "gradients", ""), *_lines(summary, "gradients", "after training")]
    return Chart(
        "Gradient of each block",
        "‖∂L/∂θ‖ over all parameters of a block, and of the classifier: before the first step of "
        "16 training sentences (mean of four batches), after training of 64; L the summed loss.",
        *("block", "‖∂L/∂θ‖", series, ("log", "linear")),
        joined=True,
        name="gradients",
    )


def _controls(summary: Mapping[str, Any]) -> Table:
    rows = []
    for row in FUNCTIONS:
        for way, title in WAYS.items():
            if has_way(row, way):
                name = title if way == "fresh" else f"{row}, {title}"
                cells_ = [name]
                for data in DATA_SETS:
                    cells_ += _told(mean_block(summary, data, row, way))[1:]
                    cells_.append(_told(mean_block(summary, data, row, "as_run"))[2])
                rows.append(cells_)
    head = ["network"]
    for title in DATA_SETS.values():
        head += [f"{title}: F1", "Matthews", "answers", "Matthews as run"]
    return Table("What the study lacks", head, rows)


CONTROLS = (
    "New output matrices: the second matrix of each feed-forward part drawn anew, as those of GLU "
    f"and SwiGLU are as run. Smaller learning rate: {SLOWER:g} times that of the others."
)


def _minilm(summary: Mapping[str, Any]) -> str:
    model = summary["model"]
    what = "the MiniLM encoder" if summary["is_minilm"] else "a network"
    return f"{what} of {model['blocks']} blocks × {model['features']}"


def _warning(summary: Mapping[str, Any]) -> str:
    size, said = Size(**summary["size"]), []
    if summary["model"] != asdict(BertSizes()):
        trained = ", trained for the similarity of sentences," if summary["is_minilm"] else ""
        said.append(f"{_minilm(summary)}{trained} in place of bert-base-uncased (12 × 768)")
    for data, title in DATA_SETS.items():
        number = summary["train_sentences"][data]
        if number != SENTENCES[data]:
            said.append(f"{number:,} of {SENTENCES[data]:,} training sentences of {title}")
        if size.epochs(data) != FULL.epochs(data):
            said.append(f"{size.epochs(data)} epochs instead of {FULL.epochs(data)} on {title}")
    if size.learning_rate != FULL.learning_rate:
        said.append(f"learning rate {size.learning_rate:g} instead of {FULL.learning_rate:g}")
    if not said:
        return ""
    return (
        f"Not the study's size: {'; '.join(said)}. Scores cannot be compared with the published "
        "ones; which functions learn can, with care. `--full` takes all sentences, "
        "`--weights FILE` another BERT."
    )


def _sizes(summary: Mapping[str, Any]) -> Table:
    size, model = Size(**summary["size"]), summary["model"]
    rows = [["network", "bert-base-uncased, 12 blocks × 768", _minilm(summary)]]
    rows.append(["units of a feed-forward part", "3,072", f"{model['hidden']:,}"])
    for data, title in DATA_SETS.items():
        number = summary["train_sentences"][data]
        rows.append([f"training sentences, {title}", f"{SENTENCES[data]:,}", f"{number:,}"])
        rows.append([f"epochs, {title}", str(FULL.epochs(data)), str(size.epochs(data))])
    rows.append(["learning rate", f"{FULL.learning_rate:g}", f"{size.learning_rate:g}"])
    rows.append(["batch size", str(FULL.batch_size), str(size.batch_size)])
    return Table("Sizes", ["", "study", "here"], rows)


def _set_up(summary: Mapping[str, Any]) -> list[Sequence[str | Told]]:
    seeds = ", ".join(map(str, summary["seeds"]))
    return [
        ["data", "CoLA and SST-2, their training sentences; the study's own 1,000 for the test"],
        ["functions", ", ".join(f"{row}: {function}" for row, function in FUNCTIONS.items())],
        ["optimizer", "AdamW without decay, ε = 1e-6 added to √v; no schedule, no clipping"],
        ["dropout", "0.1, as the network was pretrained"],
        ["seeds", f"{seeds}; the later ones of GELU, GELU with new matrices, ReLU and tanh"],
    ]


NOTE = (
    "As run, “ReLU²” is z², since the maximum is taken after squaring, and GLU and SwiGLU get new "
    "output matrices; as described it is max(0, z)², and since the text keeps the pretrained "
    "weights, GLU and SwiGLU keep the half of each output matrix that they have inputs for. The "
    "study pads to 512 tokens, which changes nothing. MiniLM was trained further so that similar "
    "sentences have similar vectors; bert-base-uncased was not."
)

STUDY = BertStudy()
