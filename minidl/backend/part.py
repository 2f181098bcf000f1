"""A batch shared by several processes: each has a part of its examples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from minidl.backend.arrays import Array


@dataclass(frozen=True)
class Part:
    """The examples of a batch on this rank.

    Code that draws random numbers per example draws them for the whole batch and takes its rows,
    and code that sums over examples sums over all parts, so that the batch is the one that a single
    process would see.
    """

    size: int  # examples of the whole batch
    rows: slice  # which of them are on this rank
    add_up: Callable[[Array], Array]  # the sum of this array over all parts
