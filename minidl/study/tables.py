"""Numbers and tables as text."""

from __future__ import annotations

import math
import shutil
import textwrap
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from minidl.pages import Table
from minidl.pages.markdown import expect_columns


def figure(value: float | None, digits: int = 4) -> str:
    """A number as text: ``0.4712``, ``1.50e-07``, or an en dash if there is none."""
    if value is None or math.isnan(value):
        return "–"
    if value != 0 and (abs(value) < 10 ** (1 - digits) or abs(value) >= 10**6):
        return f"{value:.2e}"
    return f"{value:.{digits}f}"


def counted(n: int, noun: str) -> str:
    """``1 epoch``, ``20 epochs``."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def column(ours: ArrayLike, theirs: ArrayLike = (), digits: int = 4) -> list[str]:
    """``0.4712 (0.4608)``: the published figures in brackets, as far as there are any."""
    known = [f" ({value:.{digits}f})" for value in np.asarray(theirs)]
    values = [f"{value:.{digits}f}" for value in np.asarray(ours, float)]
    return [ours + other for ours, other in zip_longest(values, known[: len(values)], fillvalue="")]


def p_figure(p: float) -> str:
    """A p-value in two digits, or more if two would hide on which side of 0.05 it lies."""
    digits = 2
    while p != 0.05 and float(f"{p:.{digits}g}") == 0.05:
        digits += 1
    return f"{p:.{digits}g}"


def by_columns(caption: str, columns: Mapping[str, Sequence[str]]) -> Table:
    """A table with these columns, given by their headings."""
    return Table(caption, list(columns), list(zip(*columns.values(), strict=True)))


def text_table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Columns aligned with spaces: the first one to the left, the others to the right."""
    expect_columns(head, rows)
    table = [[str(cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(row[i]) for row in table) for i in range(len(head))]
    lines = [
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]
    return "\n".join([lines[0], "-" * (sum(widths) + 2 * len(widths) - 2), *lines[1:]])


def wrapped(text: str, indent: str = "") -> str:
    """``text`` in lines that fit the terminal, with ``indent`` before all but the first line."""
    return textwrap.fill(
        text,
        shutil.get_terminal_size().columns,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def text_list(rows: Sequence[Sequence[str]]) -> str:
    """Rows that end in a sentence, which is wrapped beside the columns of the cells before it."""
    widths = [max(map(len, column)) for column in list(zip(*rows, strict=True))[:-1]]
    indent = " " * (sum(widths) + 2 * len(widths))
    return "\n".join(
        wrapped("  ".join([*map(str.ljust, cells, widths), sentence]), indent)
        for *cells, sentence in rows
    )
