"""Training on several processes that share each batch, started by ``mpiexec``."""

from minidl.data_parallel.ranks import Ranks, RanksError, rank_prefix
from minidl.data_parallel.step import train
from minidl.data_parallel.world import world

__all__ = ["Ranks", "RanksError", "rank_prefix", "train", "world"]
