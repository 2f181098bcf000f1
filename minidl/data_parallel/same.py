"""A check that all ranks agree."""

from __future__ import annotations

from collections.abc import Mapping

from minidl.data_parallel.ranks import Ranks, RanksError
from minidl.training.start import difference


def assert_ranks_agree(ranks: Ranks, found: Mapping[str, str], hint: str) -> None:
    """Raise ``RanksError`` on every rank if ``found`` differs from rank 0 on any of them."""
    of_all = ranks.gather(dict(found))
    for rank, theirs in enumerate(of_all):
        if other := difference(of_all[0], theirs):
            expected, got = other
            raise RanksError(
                f"rank {rank} of {ranks.size}: expected {expected}, as on rank 0, got {got}; {hint}"
            )
