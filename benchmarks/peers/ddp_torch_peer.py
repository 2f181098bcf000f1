"""PyTorch's DistributedDataParallel over gloo: each rank has its part of every batch."""

import os

import torch
from torch.nn.parallel import DistributedDataParallel
from torch_peer import TorchPeer


class DDPPeer(TorchPeer):
    def __init__(self, problem):
        super().__init__(problem, fused=True, compiled=False)
        self.rank, self.size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        if self.size > 1:
            self.network = DistributedDataParallel(self.network)

    def run(self, rows):
        part = rows.shape[1] // self.size
        return super().run(rows[:, self.rank * part : (self.rank + 1) * part])


def begin(store):
    """Meet the other ranks by the file ``store``."""
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{store}", rank=rank, world_size=size
    )
    return rank


def end():
    torch.distributed.destroy_process_group()


make = DDPPeer
