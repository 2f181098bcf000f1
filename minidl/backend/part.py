"""A batch that several processes share: each has a part of its examples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from minidl.backend.arrays import Array


@dataclass(frozen=True)
class Part:
    """The examples of a batch that are here.

    What draws for each example draws for the whole batch and takes its rows, and what adds up
    over the examples adds up over all parts, so that the batch is the one that a single process
    would see.
    """

    size: int  # examples of the whole batch
    rows: slice  # which of them are here
    add_up: Callable[[Array], Array]  # the sum over all parts of what is an array like this there
