"""Which examples are held out: drawn at random, from all or from each class its share."""

from __future__ import annotations

import numpy as np


def drawn(
    count: int, n: int, rng: np.random.Generator, labels: np.ndarray | None = None
) -> np.ndarray:
    """Which ``n`` of ``count`` examples are drawn, as booleans; a share of each class if given."""
    order = rng.permutation(count)
    if labels is None:
        taken = order[:n]
    else:
        labels = labels[order]
        if (one := single(labels)) is not None:
            raise ValueError(
                "Examples.split: expected at least two examples of each class to stratify, "
                f"got one with label {one}"
            )
        of_class = [np.flatnonzero(labels == label)[:k] for label, k in _shares(labels, n)]
        taken = order[np.concatenate(of_class)]
    found = np.zeros(count, bool)
    found[taken] = True
    return found


def single(labels: np.ndarray) -> int | None:
    """A label that occurs once; None if each occurs more often."""
    present, sizes = np.unique(labels, return_counts=True)
    return int(present[sizes.argmin()]) if sizes.min() == 1 else None


def _shares(labels: np.ndarray, n: int) -> list[tuple[int, int]]:
    """``(label, count)``: how many of ``n`` examples come from each class, by largest remainder.

    Of equal remainders, that of the class that comes first in ``labels``, whose order is random.
    """
    present, first, sizes = np.unique(labels, return_index=True, return_counts=True)
    counts, remainders = np.divmod(n * sizes, len(labels))
    more = np.lexsort((first, -remainders))[: n - counts.sum()]
    counts[more] += 1
    return list(zip(present.tolist(), counts.tolist(), strict=True))
