"""Training on several processes that share each batch, started by ``mpiexec``."""

from minidl.data_parallel.ranks import Ranks, RanksError, named
from minidl.data_parallel.step import train
from minidl.data_parallel.world import world

__all__ = ["Ranks", "RanksError", "named", "train", "world"]
