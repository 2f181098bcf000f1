"""The activation function of a pretrained BERT: the declaration of the study, and its report."""

from __future__ import annotations

import argparse
import functools
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from minidl.models import BertSizes, pretrained
from minidl.pages import Prose, Table, Told
from minidl.study import Claim, Report, Rows, Run, Section, Task, judge
from minidl.study.histories import epoch_rows
from minidl.study.options import InputError, whole
from minidl.study.report import sentence, set_up_section
from minidl.study.sized_study import SizedStudy
from minidl.study.tables import counted
from studies.activation_study.study import IN_DEPTH
from studies.bert import parts
from studies.bert.claims import CLAIMS, VANISHES
from studies.bert.networks import Figures, published
from studies.bert.training import (
    DATA_SETS,
    FULL,
    FUNCTIONS,
    PRETRAINED,
    REDUCED,
    Outcome,
    Size,
    Tokens,
    cells,
    originals,
    tokens,
    train,
)

SENTENCES = {"cola": 7_551, "sst-2": 66_349}  # that the study trained on


class BertStudy(SizedStudy):
    name = "bert"
    about = "Eleven activation functions in a pretrained BERT, on CoLA and SST-2."
    work = IN_DEPTH
    data = tuple(DATA_SETS)
    seeds = 3
    kind = Outcome
    keeps_weights = False
    full, reduced = FULL, REDUCED
    sized_by = (
        *(("sentences", "sentences"), ("epochs", "cola_epochs"), ("epochs", "sst_2_epochs")),
    )

    def add_options(self, add: Any) -> None:
        add("--full", action="store_true", help="all sentences, as in the study; for a GPU")
        other = "model.safetensors of another BERT, with config.json and vocab.txt next to it"
        add("--weights", type=Path, metavar="FILE", help=f"{other} (default: MiniLM, downloaded)")
        add("--epochs", type=whole, metavar="N", help="of each training run (default: 3 on CoLA)")
        several = functools.partial(whole, least=64)
        add("--sentences", type=several, metavar="N", help="train on the first N only")

    def load(self, chosen: argparse.Namespace) -> list[Any]:
        try:
            source = pretrained(chosen.weights, chosen.data_dir, progress=not chosen.quiet)
        except (ModuleNotFoundError, ValueError) as error:  # a file that cannot be read
            raise InputError(str(error)) from error
        size = self.size(chosen)
        return [tokens(name, chosen.data_dir, source, size.sentences) for name in self.data]

    def tasks(self, run: Run) -> dict[str, Task[Outcome]]:
        data: dict[str, Any] = {one.name: one for one in run.data}
        original = {
            name: originals(one.pretrained, one.train, run.device) for name, one in data.items()
        }

        size = self.size(run.chosen)
        return {
            str(cell): functools.partial(
                train, run, size, cell, data[cell.data], original[cell.data]
            )
            for cell in cells(run.seeds)
        }

    def summarise(self, run: Run, results: Mapping[str, Outcome]) -> dict[str, Any]:
        first = run.data[0]
        assert isinstance(first, Tokens)
        return {
            **self.size_block(run),
            "model": asdict(first.pretrained.sizes),
            "is_minilm": run.chosen.weights is None,
            "train_sentences": {one.name: one.train_images for one in run.used},
            "seeds": list(run.seeds),
            "networks": [cell._asdict() | results[str(cell)].block() for cell in cells(run.seeds)],
        }

    def judged(self, summary: Mapping[str, Any], results: Any, key: str) -> list[Claim]:
        return judge(CLAIMS, published(), figures(summary, key))

    def tables(self, run: Run, results: Mapping[str, Outcome]) -> dict[str, Rows]:
        rows = [
            {"data": cell.data, "way": cell.way} | row
            for cell in cells(run.seeds)
            for row in epoch_rows(cell.seed, cell.row, results[str(cell)].history)
        ]
        return {"epochs.csv": rows}

    # -- the report -------------------------------------------------------------------------------

    def report(self, folder: Path, summary: Mapping[str, Any]) -> Report:
        verdicts, first = self.verdicts(summary), figures(summary, "as_run")[0]
        size = self.size_of(summary)
        note = "Text and run differ for ReLU², GLU and SwiGLU."
        return Report(
            "Another activation function in a pretrained BERT: CoLA and SST-2",
            self.work,
            "In the study, a pretrained BERT learned CoLA and SST-2 with ReLU or leaky ReLU in "
            "place of its GELU, but not with eight other functions. Is the reason that gradients "
            "vanish, as the study says?",
            answer(summary, first, verdicts.word(VANISHES)),
            [parts.scores_chart(summary)],
            verdicts.held(),
            [
                verdicts.section(CLAIMS, note),
                Section("The scores (tables 19 and 20)", list(parts.scores(summary))),
                Section("Before the first step", parts.before(summary, first)),
                Section("The gradient of each block", [parts.gradients(summary)]),
                Section("Controls", [parts.controls(summary), Prose([parts.CONTROLS])]),
                set_up_section(_set_up(summary), summary, [_sizes(summary, size)], NOTE),
            ],
            _warning(summary, size),
        )


def figures(summary: Mapping[str, Any], key: str) -> list[Figures]:
    """The figures of each seed; only the first has all functions."""
    seeds = [[b for b in summary["networks"] if b["seed"] == s] for s in summary["seeds"]]
    return [Figures.of(blocks, key) for blocks in seeds]


def answer(summary: Mapping[str, Any], first: Figures, verdict: str) -> str:
    failed = first.failed
    told = []
    for data, title in DATA_SETS.items():
        gelu = parts.mean_score(summary, data, PRETRAINED, "as_run", "matthews")
        fresh = parts.mean_score(summary, data, PRETRAINED, "fresh", "matthews")
        told.append(f"{gelu:.2f} with GELU and {fresh:.2f} with new output matrices on {title}")
    scored = f"the Matthews correlation is {', '.join(told)}"
    if not failed:
        return f"Not judged: no function gives one answer to everything; {scored}."
    causes = [parts.cause(first, *of) for of in failed]
    lost = sum("destroyed" in one for one in causes)
    gone = sum("vanishes" in one for one in causes)
    return (
        f"{sentence(verdict)}: before the first step, less than a tenth of GELU's share of "
        f"the gradient arrives in {gone} of the {len(failed)} networks that end with one answer to "
        f"everything, and the last block's output has changed by more than its own size in "
        f"{lost}; {scored}."
    )


def _minilm(summary: Mapping[str, Any]) -> str:
    model = summary["model"]
    what = "the MiniLM encoder" if summary["is_minilm"] else "a network"
    return f"{what} of {model['blocks']} blocks × {model['features']}"


def _warning(summary: Mapping[str, Any], size: Size) -> str:
    said = []
    if summary["model"] != asdict(BertSizes()):
        trained = ", trained for sentence similarity," if summary["is_minilm"] else ""
        said.append(f"{_minilm(summary)}{trained} instead of bert-base-uncased (12 × 768)")
    for data, title in DATA_SETS.items():
        number = summary["train_sentences"][data]
        if number != SENTENCES[data]:
            said.append(f"{number:,} of {SENTENCES[data]:,} training sentences of {title}")
        if size.epochs(data) != FULL.epochs(data):
            said.append(
                f"{counted(size.epochs(data), 'epoch')} instead of {FULL.epochs(data)} on {title}"
            )
    if size.learning_rate != FULL.learning_rate:
        said.append(f"learning rate {size.learning_rate:g} instead of {FULL.learning_rate:g}")
    if not said:
        return ""
    return (
        f"Not the study's size: {'; '.join(said)}. The scores cannot be compared with the "
        "published ones, but which functions learn can, with care. `--full` trains on all "
        "sentences, `--weights FILE` loads another BERT."
    )


def _sizes(summary: Mapping[str, Any], size: Size) -> Table:
    model = summary["model"]
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
        [
            "data",
            "training sentences of CoLA and SST-2; 1,000 of each are the study's test set",
        ],
        ["functions", ", ".join(f"{row}: {function}" for row, function in FUNCTIONS.items())],
        ["optimizer", "AdamW without decay, ε = 1e-6 added to √v; no schedule, no clipping"],
        ["dropout", "0.1, as in pretraining"],
        ["seeds", f"{seeds}; later ones only for GELU, GELU with new matrices, ReLU and tanh"],
    ]


NOTE = (
    "As run, “ReLU²” is z², since the maximum is taken after squaring, and GLU and SwiGLU get new "
    "output matrices. As described, it is max(0, z)², and since the text keeps the pretrained "
    "weights, GLU and SwiGLU keep the half of each output matrix for which they have inputs. The "
    "study pads to 512 tokens, which changes nothing. MiniLM was trained further so that similar "
    "sentences have similar vectors; bert-base-uncased was not."
)

STUDY = BertStudy()
