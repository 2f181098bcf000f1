"""Training on several processes that share each batch, started by ``mpiexec``."""

from minidl.parallel.ranks import Ranks, RanksError, named
from minidl.parallel.step import training_step
from minidl.parallel.world import world

__all__ = ["Ranks", "RanksError", "named", "training_step", "world"]
