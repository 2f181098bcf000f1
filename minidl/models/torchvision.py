"""Weights of residual networks in files with torchvision's names.

``stage_2.block_1.conv_3`` is ``layer2.0.conv3`` there, ``norm_3`` is ``bn3``, and the shortcut is
``downsample``.  A dense layer's W is transposed; all other arrays are the same, entry by entry.
"""

from __future__ import annotations

import os
import re

import numpy as np

from minidl.backend import Array, checks, to_numpy
from minidl.layers import BatchNorm, Dense
from minidl.network import Network
from minidl.storage import tensors

MODULES = {
    "stem.conv": "conv1",
    "stem.norm": "bn1",
    "head": "fc",
    "shortcut.conv": "downsample.0",
    "shortcut.norm": "downsample.1",
    **{f"conv_{i}": f"conv{i}" for i in (1, 2, 3)},
    **{f"norm_{i}": f"bn{i}" for i in (1, 2, 3)},
}
ARRAYS = {
    "W": "weight",
    "b": "bias",
    "gamma": "weight",
    "beta": "bias",
    "running_mean": "running_mean",
    "running_variance": "running_var",
    "steps": "num_batches_tracked",  # counted by BatchNorm there, and read nowhere
}


def load_torchvision(network: Network, path: str | os.PathLike[str]) -> None:
    """Read parameters and state of a residual network from a safetensors file of torchvision's.

    Unless the whole file matches, the network is left unchanged: it must have the same names and
    shapes, and a type that the network's type can hold to the bit.  The file does not record the
    activation function, nor how the images were scaled.

    Parameters
    ----------
    network : one of :mod:`minidl.models`
    path : a file as :func:`save_torchvision` or ``safetensors.torch.save_file(state_dict)``
        writes it

    Raises
    ------
    OSError
        if there is no such file (FileNotFoundError), or it cannot be read.
    WeightsError
        if it is not a safetensors file, is damaged, or does not match; the error names the array.
    ImportError
        if the package safetensors is not installed.
    """
    arrays = torchvision_arrays(network)
    shapes = {name: array.shape for name, array in arrays.items()}
    found = tensors.load(path, shapes, network.dtype, ignored=_counts(network))
    fitting = {n: network.device.asarray(values, network.dtype) for n, values in found.items()}
    for name, values in fitting.items():
        arrays[name][...] = values


def save_torchvision(network: Network, path: str | os.PathLike[str]) -> None:
    """Write parameters and state as a safetensors file, complete for ``load_state_dict``.

    The step counts of BatchNorm are written as 0, since minidl does not count them.

    Parameters
    ----------
    network : one of :mod:`minidl.models`
    path : of the file, which is written completely or not at all

    Raises
    ------
    OSError
        if it cannot be written.
    ImportError
        if the package safetensors is not installed.
    """
    arrays = torchvision_arrays(network)
    counts = dict.fromkeys(_counts(network), np.array(0, np.int64))
    tensors.save(path, {name: to_numpy(array) for name, array in arrays.items()} | counts)


def torchvision_arrays(network: Network) -> dict[str, Array]:
    """Every parameter and array of the state in torchvision's layout, by its name there: views."""
    checks.instance("torchvision", "network", network, Network)
    found = {}
    for layer in network.walk():
        for name, array in (layer.parameters() | layer.state()).items():
            transposed = isinstance(layer, Dense) and name == "W"
            found[_theirs(layer.name, name)] = array.T if transposed else array
    return found


def _counts(network: Network) -> list[str]:
    return [_theirs(la.name, "steps") for la in network.walk() if isinstance(la, BatchNorm)]


def _theirs(layer: str, array: str) -> str:
    """``"layer2.0.conv3.weight"`` for ``"stage_2.block_1.conv_3"`` and ``"W"``."""
    stage = re.fullmatch(r"stage_(\d+)\.block_(\d+)\.(.+)", layer)
    inside = stage[3] if stage else layer
    if inside not in MODULES or array not in ARRAYS:
        raise ValueError(
            "torchvision: expected a residual network of minidl.models, "
            f"got one with {layer}.{array}"
        )
    within = f"layer{stage[1]}.{int(stage[2]) - 1}." if stage else ""
    return f"{within}{MODULES[inside]}.{ARRAYS[array]}"
