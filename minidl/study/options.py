"""The command line that all studies share."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from minidl._printable import printable
from minidl.backend import PRECISIONS


class Help(argparse.ArgumentDefaultsHelpFormatter):
    """Shows the default of an option that takes a value and has one, as it would be typed."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if action.default is None or action.nargs == 0:
            return action.help
        if isinstance(action.default, list):
            return f"{action.help} (default: {' '.join(map(str, action.default))})"
        return super()._get_help_string(action)


def whole(text: str) -> int:
    """An integer of at least 1."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected an integer >= 1, got {text!r}")
    return number


def from_zero(text: str) -> int:
    """A non-negative integer; seeds are parts of file names, which must not become too long."""
    if text.isdecimal() and len(text) <= 18:
        return int(text)
    raise argparse.ArgumentTypeError(f"expected 0 or more, got {printable(text)}; up to 18 digits")


def folder_name(text: str) -> Path:
    """A folder, whose name can be shown in a terminal and in a report of UTF-8."""
    if not text.isprintable():
        raise argparse.ArgumentTypeError(f"expected a name of characters that print, got {text!a}")
    return Path(text)


def new_parser(description: str) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(description=description, formatter_class=Help)


def add_seeds(add: Any, seeds: int | None) -> None:
    """``--seed``, and ``--seeds`` if a run has several."""
    first = "of weights and batches" + ("" if seeds is None else "; the first of several")
    add("--seed", type=from_zero, default=0, help=first)
    if seeds is not None:
        add("--seeds", type=whole, default=seeds, metavar="N", help="repeat with N seeds in a row")


def add_output(add: Any, study: str) -> None:
    add("--output-dir", type=folder_name, default=f"runs/{study}", help="folder for the results")


def add_place(add: Any, study: str) -> None:
    """Where the data are, where it is computed, where the results go."""
    help_text = "folder with the data set (default: $MINIDL_DATA, the cache)"
    add("--data-dir", type=folder_name, help=help_text)
    add("--device", default="auto", help="auto, cpu, cuda or cuda:1")
    add("--precision", choices=PRECISIONS, default="float32", help="of matrix products on a GPU")
    add("--no-graph", dest="graph", action="store_false", help="no CUDA graph of the step")
    add("--jobs", type=whole, help="networks side by side (default: 2 where processors allow it)")
    on_dask = "training runs in N processes of this machine, a local Dask cluster"
    add("--workers", type=whole, metavar="N", help=on_dask)
    on_cluster = "training runs on the Dask cluster there, as tcp://host:8786 (docs/sweeps.md)"
    add("--scheduler", metavar="ADDRESS", help=on_cluster)
    add("--threads", type=whole, default=1, metavar="N", help="processors for each network")
    add_output(add, study)
    snapshot = "keep a snapshot of every layer after each epoch, for python -m minidl.microscope"
    add("--record", action="store_true", help=snapshot)
    add("--checkpoint-every", type=whole, metavar="N", help="steps (default: after each epoch)")
    add("--fresh", action="store_true", help="throw away what an earlier start has trained")
    add("--quiet", action="store_true", help="no progress, only the results")
