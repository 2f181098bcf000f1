"""The command line that all studies share."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from minidl._printable import printable
from minidl.backend import PRECISIONS


class InputError(ValueError):
    """What was typed on a command line, or a file that it names, is not what was expected.

    The command ends with its message in one line.  Any other ``ValueError`` is a mistake in a
    program, and keeps its traceback.
    """


class Help(argparse.ArgumentDefaultsHelpFormatter):
    """Show the default of each option that takes a value and has one, as it would be typed."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if action.default is None or action.nargs == 0:
            return action.help
        if isinstance(action.default, list):
            return f"{action.help} (default: {' '.join(map(str, action.default))})"
        return super()._get_help_string(action)


def whole(text: str, least: int = 1) -> int:
    """An integer of at least ``least``."""
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if number < least:
        raise argparse.ArgumentTypeError(f"expected an integer >= {least}, got {text!r}")
    return number


def from_zero(text: str) -> int:
    """A non-negative integer; a seed is part of file names, so its length is limited."""
    if text.isdecimal() and len(text) <= 18:
        return int(text)
    got = printable(text)
    raise argparse.ArgumentTypeError(f"expected an integer >= 0 of up to 18 digits, got {got}")


def folder_name(text: str) -> Path:
    """A folder whose name can be printed in a terminal and in a UTF-8 report."""
    if not text.isprintable():
        raise argparse.ArgumentTypeError(f"expected a name of printable characters, got {text!a}")
    return Path(text)


def new_parser(description: str) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(description=description, formatter_class=Help)


def add_seeds(add: Any, seeds: int | None) -> None:
    """Add ``--seed``, and ``--seeds`` if a run can have several."""
    first = "seed of weights and batches" + ("" if seeds is None else "; the first of several")
    add("--seed", type=from_zero, default=0, help=first)
    if seeds is not None:
        several = "repeat with N consecutive seeds"
        add("--seeds", type=whole, default=seeds, metavar="N", help=several)


def add_output(add: Any, study: str) -> None:
    add("--output-dir", type=folder_name, default=f"runs/{study}", help="folder for the results")


def add_place(add: Any, study: str) -> None:
    """Add the options for where to find the data, where to compute and where to write."""
    help_text = "folder with the data set (default: $MINIDL_DATA, or else the cache folder)"
    add("--data-dir", type=folder_name, help=help_text)
    add("--device", default="auto", help="device to compute on: auto, cpu, cuda or cuda:1")
    precision = "precision of matrix products on a GPU"
    add("--precision", choices=PRECISIONS, default="float32", help=precision)
    no_graph = "do not record the training step as a CUDA graph"
    add("--no-graph", dest="graph", action="store_false", help=no_graph)
    jobs = "networks to train at the same time (default: 2 if there are enough processors)"
    add("--jobs", type=whole, metavar="N", help=jobs)
    on_dask = "train in N processes on this machine, with a local Dask cluster"
    add("--workers", type=whole, metavar="N", help=on_dask)
    on_cluster = "train on the Dask cluster at an address such as tcp://host:8786 (docs/sweeps.md)"
    add("--scheduler", metavar="ADDRESS", help=on_cluster)
    threads = "threads per network"
    add("--threads", type=whole, default=1, metavar="N", help=threads)
    add_output(add, study)
    snapshot = "keep a snapshot of every layer after each epoch, for python -m minidl.microscope"
    add("--record", action="store_true", help=snapshot)
    every = "write a checkpoint every N steps (default: only after each epoch)"
    add("--checkpoint-every", type=whole, metavar="N", help=every)
    add("--fresh", action="store_true", help="discard earlier results in the folder and start over")
    add("--quiet", action="store_true", help="show the results only, no progress")
