"""What a run folder holds that can be compared with another: its options and its curves."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np

from minidl._printable import printable
from minidl.study.conditions import Conditions
from minidl.study.folder import study_of
from minidl.study.options import InputError
from minidl.study.report import MISFITS, read_rows, read_summary

PARTS = {  # of the data, as the figures of a summary begin
    "train": "training images (running)",
    "test": "test images",
    "validation": "validation images",
}
LEARNED = tuple(f"{part}_{what}" for part in PARTS for what in ("accuracy", "loss"))
FIGURES = (*LEARNED, "seconds")
GRADIENT = "gradient"  # mean |∂L/∂W| of the hidden layers
FUNCTION = ("network", "activation", "row", "name")  # what a network is called, in this order
ONE_SET_UP = ""  # the set-up of a run that has no others

CONDITIONS = {field.name for field in fields(Conditions)}
# In a summary: what came out, and not what was chosen or what it was made with.
OUTCOMES = {"seconds", "peak_memory_mb", "done_before", "load_of_others", "chance"}
NESTED = ("options", "size", "hardware", "versions")  # of which every entry is an option

Key = tuple[str, str]  # set-up and network
Curves = Mapping[str, np.ndarray]  # by figure: (seeds, epochs)


@dataclass(frozen=True)
class Compared:
    """One run of those on a page."""

    label: str
    study: str | None  # None: the folder is of a time when runs did not say it
    options: Mapping[str, str]  # what was chosen
    conditions: Mapping[str, str]  # machine, software, date, command
    networks: Mapping[Key, Curves]


def read_runs(folders: Sequence[Path]) -> list[Compared]:
    """The runs in the folders, each with the name of its folder, or its path if two are equal.

    Raises
    ------
    InputError
        for fewer than two, one twice, and one whose files are not those of a run that has
        networks by epoch.
    OSError
        if a file cannot be read.
    """
    if len(folders) < 2:
        raise InputError(
            f"expected the folders of two runs or more, got {len(folders)}; the report.html in a "
            "folder shows its run alone"
        )
    places = [Path(os.path.realpath(folder)) for folder in folders]
    for i, place in enumerate(places):
        if place in places[:i]:
            raise InputError(f"{folders[i]}: expected each run once, got it twice")
    names = [place.name for place in places]
    alike = len(set(names)) < len(names)
    labels = map(str, folders) if alike else names
    return [_read(folder, printable(label)) for folder, label in zip(folders, labels, strict=True)]


def _read(folder: Path, label: str) -> Compared:
    if not (folder / "summary.json").exists():
        raise FileNotFoundError(
            f"{folder}: expected the folder of a run, with its summary.json, found none; "
            "a run writes it at its end"
        )
    try:
        summary, study = read_summary(folder), study_of(folder)
        options = _said({k: v for k, v in summary.items() if k not in CONDITIONS | OUTCOMES})
        conditions = _said({k: v for k, v in summary.items() if k in CONDITIONS - OUTCOMES})
        networks = {key: _curves(seeds) for key, seeds in _networks(folder, summary).items()}
    except MISFITS as error:
        raise InputError(
            f"{folder}: expected summary.json as a run writes it, got something else "
            f"({type(error).__name__}: {printable(str(error), 200)}); make the run again"
        ) from error
    networks = {key: curves for key, curves in networks.items() if set(curves) & set(LEARNED)}
    if not networks:
        raise InputError(
            f"{folder}: expected a run with accuracy or loss by epoch in its summary.json, got one "
            "without; its report.html shows what it has"
        )
    return Compared(label, study, options, conditions, networks)


def _said(entries: Mapping[str, Any]) -> dict[str, str]:
    """The entries of a summary that say how it was made, each as text."""
    found: dict[str, str] = {}
    for key, value in entries.items():
        title = key.replace("_", " ")
        if key in NESTED:
            found |= {f"{title}: {name}": _text(one) for name, one in value.items()}
        elif key == "software":  # of each part of the results
            for name in dict.fromkeys(name for one in value for name in one):
                known = dict.fromkeys(_text(one.get(name, "none")) for one in value)
                found[f"{title}: {name}"] = "; ".join(known)
        elif key == "set_ups":
            for name, block in value.items():
                found |= {f"{name}: {option}": text for option, text in _said(block).items()}
        elif _is_plain(value):
            found[title] = _text(value)
    return found


def _is_plain(value: Any) -> bool:
    """Whether it is text, a number, or a list of these."""
    several = value if isinstance(value, list) else [value]
    return bool(several) and all(isinstance(one, str | int | float) for one in several)


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


# -- networks ---------------------------------------------------------------------------------


Block = Mapping[str, Any]  # of one training run: what it is, then its figures by epoch


def _networks(folder: Path, summary: Mapping[str, Any]) -> dict[Key, list[Block]]:
    """The networks by set-up and name, each with a block of figures for each seed."""
    found: dict[Key, list[Block]] = {}
    blocks: list[Block] = []
    for set_up, block in {ONE_SET_UP: summary, **summary.get("set_ups", {})}.items():
        for run in block.get("runs", [block]):
            networks = run.get("networks", {})
            if isinstance(networks, dict):
                for name, network in networks.items():
                    found.setdefault((printable(set_up), printable(name)), []).append(network)
    if not found:
        for run in summary.get("runs", [summary]):
            seed = {"seed": run["seed"]} if "seed" in run else {}
            lists = (run.get(name, []) for name in ("networks", "trainings", "cells"))
            blocks += [seed | block for some in lists for block in some]
    return found or _by_key(blocks) or _by_key(_rows(folder))


def _identity(block: Block) -> dict[str, Any]:
    """What a block says before its figures: which training run of the study it is."""
    return dict(takewhile(lambda entry: not isinstance(entry[1], list | dict), block.items()))


def _by_key(blocks: Sequence[Block]) -> dict[Key, list[Block]]:
    """Training runs that differ in their seed alone are those of one network.

    Its set-up is all that tells it from the others, apart from the function.

    Raises
    ------
    ValueError
        for two that do not even differ in their seed.
    """
    blocks = [block for block in blocks if any(isinstance(block.get(f), list) for f in LEARNED)]
    identities = [_identity(block) for block in blocks]
    if len({str(identity) for identity in identities}) < len(blocks):
        raise ValueError("two training runs that are told apart by nothing")
    found: dict[Key, list[Block]] = {}
    for block, identity in zip(blocks, identities, strict=True):
        called, *_ = (what for what in FUNCTION if what in identity)  # a ValueError for none
        name = identity.pop(called)
        differing = [
            str(value) if str(value)[:1].isalpha() else f"{what.replace('_', ' ')} {value}"
            for what, value in identity.items()
            if what != "seed" and any(one.get(what) != value for one in identities)
        ]
        key = printable(", ".join(differing)), printable(str(name))
        found.setdefault(key, []).append(block)
    return found


def _rows(folder: Path) -> list[Block]:
    """The training runs in ``epochs.csv``, of a study whose summary has nothing by epoch."""
    found: dict[str, dict[str, Any]] = {}
    for row in read_rows(folder, "epochs.csv"):
        figures = {name: float(row[name] or "nan") for name in FIGURES if name in row}
        before = takewhile(lambda column: column != "epoch", row)
        what: dict[str, Any] = {n: row[n] for n in (*before, *FUNCTION) if n in row}
        epoch, block = int(row["epoch"]), found.setdefault(str(what), {**what})
        for name, value in figures.items():
            values = block.setdefault(name, [])
            values.append(value)
            if len(values) != epoch:
                raise ValueError(f"epochs.csv: expected epoch {len(values)}, got {epoch}")
    return list(found.values())


def _curves(seeds: Sequence[Block]) -> Curves:
    """The figures that are there, over seeds and epochs; NaN where a seed was stopped early."""
    found = {
        figure: _array([block[figure] for block in seeds])
        for figure in FIGURES
        if figure in seeds[0]
    }
    if not isinstance(seeds[0].get("gradients", []), list):  # other studies have other ones
        layers = np.array([block["gradients"]["weights"] for block in seeds], float)
        if layers.shape[-1] > 1:  # the last one is the output layer
            found[GRADIENT] = layers[..., :-1].mean(axis=-1)
    for figure, values in found.items():
        if values.ndim != 2 or not values.size:
            raise ValueError(f"{figure}: expected a number for each epoch, got {values.shape}")
    return found


def _array(series: Sequence[Sequence[float]]) -> np.ndarray:
    """(seeds, epochs)"""
    most = max(map(len, series))
    return np.array([[*one, *[np.nan] * (most - len(one))] for one in series], float)
