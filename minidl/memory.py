"""How much memory a training takes, reckoned before it is taken."""

from __future__ import annotations

from minidl.backend import namespace
from minidl.examples import Examples
from minidl.network import Network
from minidl.optimizers import Optimizer


def training_memory(
    network: Network, examples: Examples, optimizer: Optimizer, batch_size: int
) -> int:
    """The bytes of a training's arrays, beside the examples where they lie now.

    Vectors of the size of θ: on the CPU, whose whole memory this is compared with, θ, ∇θ
    and the last update; on a GPU, where the free memory counts, the update and scratch;
    on both what the optimizer keeps.  For each example of a batch its input and what
    the layers keep (:meth:`minidl.layers.Layer.workspace_size`).  On a GPU the examples,
    unless they are there.  Small arrays and the scratch of some functions are left
    out: it is rather too little than too much.
    """
    vectors = (2 if network.device.is_cuda else 3) + len(optimizer.slots)
    inputs = examples.inputs[:1].nbytes  # drawn as they are stored, then as floats
    numbers = examples.inputs[0].size + network.workspace_size()
    batch = min(batch_size, len(examples)) * (inputs + numbers * network.dtype.itemsize)
    there = namespace(examples.inputs) is network.device.xp
    data = 0 if there else examples.inputs.nbytes + examples.targets.nbytes
    return vectors * network.theta.nbytes + batch + data
