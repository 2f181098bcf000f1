"""Residual networks for images, with 18, 34 and 50 layers.

Their parts, with the number of channels and the image size, from an input of 224x224::

    layer     ResNet-18, 34          ResNet-50                          C  size
    stem      7x7, stride 2; max pool of 3x3, stride 2                 64  56x56
    stage_1   [3x3, 3x3] · 2 or 3    [1x1, 3x3, 1x1 to 4 C] · 3        64  56x56
    stage_2   [3x3, 3x3] · 2 or 4    [1x1, 3x3, 1x1 to 4 C] · 4       128  28x28
    stage_3   [3x3, 3x3] · 2 or 6    [1x1, 3x3, 1x1 to 4 C] · 6       256  14x14
    stage_4   [3x3, 3x3] · 2 or 3    [1x1, 3x3, 1x1 to 4 C] · 3       512  7x7
    pool      the mean of each channel
    head      a dense layer with one output per class

Each pair of brackets is a block, whose output is added to its input.  BatchNorm follows each
convolution, so none has a bias: it would be subtracted again, and its gradient would be 0.

Source: He, Zhang, Ren and Sun, Deep Residual Learning for Image Recognition, CVPR 2016,
table 1.  As in torchvision, the 3x3 convolution of a bottleneck has the stride, not its first 1x1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from minidl.activations import Activation
from minidl.backend import Device, checks
from minidl.layers import (
    ActivationLayer,
    BatchNorm,
    Conv2D,
    Dense,
    GlobalAveragePool2D,
    Layer,
    MaxPool2D,
    Residual,
    Sequential,
)
from minidl.network import Network

F: TypeAlias = str | Activation
Layers: TypeAlias = dict[str, Layer]


def resnet18(
    classes: int,
    in_channels: int = 3,
    activation: F = "relu",
    everywhere: bool = True,
    **options: Any,
) -> Network:
    """ResNet-18: basic blocks, two in each stage.  See :func:`resnet`."""
    depths = (2, 2, 2, 2)
    return resnet(basic, depths, 1, classes, in_channels, activation, everywhere, **options)


def resnet34(
    classes: int,
    in_channels: int = 3,
    activation: F = "relu",
    everywhere: bool = True,
    **options: Any,
) -> Network:
    """ResNet-34: basic blocks, 3, 4, 6 and 3 in the stages.  See :func:`resnet`."""
    depths = (3, 4, 6, 3)
    return resnet(basic, depths, 1, classes, in_channels, activation, everywhere, **options)


def resnet50(
    classes: int,
    in_channels: int = 3,
    activation: F = "relu",
    everywhere: bool = True,
    **options: Any,
) -> Network:
    """ResNet-50: bottlenecks, 3, 4, 6 and 3 in the stages.  See :func:`resnet`."""
    depths = (3, 4, 6, 3)
    return resnet(bottleneck, depths, 4, classes, in_channels, activation, everywhere, **options)


def resnet(
    block: Callable[[int, int, int, F], Residual],
    depths: tuple[int, ...],
    expansion: int,
    classes: int,
    in_channels: int,
    activation: F,
    everywhere: bool,
    width: float = 1,
    size: int = 224,
    stem_kernel: int = 7,
    stem_stride: int = 2,
    rng: np.random.Generator | int = 0,
    dtype: Any = "float32",
    device: str | Device = "cpu",
) -> Network:
    """Stem, a stage for each of ``depths``, the mean of each channel, and the head.

    ``network["stage_3.block_2.conv_1"].dW`` is the gradient of a convolution in a branch,
    ``network["stage_3.block_1.shortcut.conv"].dW`` that of the one beside it.

    Parameters
    ----------
    block : :func:`basic` or :func:`bottleneck`
    depths : the number of blocks in each stage
    expansion : output channels of a block, in multiples of those of the table
    classes, in_channels : number of classes, and of channels of the images
    activation : a name of :data:`minidl.activations.ACTIVATIONS`, or an instance
    everywhere : whether the blocks use it, too; otherwise they have ReLU, and only
        the stem uses it
    width : a factor for the channels of all layers; 0.25 gives a quarter of them
    size : height and width of the images
    stem_kernel, stem_stride : of the first convolution, for example 3 and 1 for images of 32x32
    rng, dtype, device : see :class:`minidl.Network`

    Raises
    ------
    ValueError
        if ``width`` gives a fraction of a channel, or a layer cannot be made.
    """
    everywhere = checks.boolean("resnet", "everywhere", everywhere)
    stem_kernel = checks.integer("resnet", "stem_kernel", stem_kernel)
    channels = n_in = _channels(width)
    stem: Layers = {
        "conv": convolution(in_channels, channels, stem_kernel, stem_stride),
        "norm": BatchNorm(channels),
        "activation": ActivationLayer(activation),
        "pool": MaxPool2D(3, stride=2, padding=1),
    }
    layers: Layers = {"stem": Sequential(stem)}
    f = activation if everywhere else "relu"
    for number, depth in enumerate(depths, 1):
        n_out = expansion * channels * 2 ** (number - 1)
        stage: Layers = {}
        for place in range(1, depth + 1):
            stride = 2 if number > 1 and place == 1 else 1
            stage[f"block_{place}"] = block(n_in, n_out, stride, f)
            n_in = n_out
        layers[f"stage_{number}"] = Sequential(stage)
    layers["pool"] = GlobalAveragePool2D()
    layers["head"] = Dense(n_in, classes, weights="fan_in_uniform", biases="fan_in_uniform")
    return Network(layers, (in_channels, size, size), rng, dtype, device)


def basic(n_in: int, n_out: int, stride: int, f: F) -> Residual:
    """Two convolutions of 3x3.  He et al., figure 5, left."""
    branch: Layers = {
        "conv_1": convolution(n_in, n_out, 3, stride),
        "norm_1": BatchNorm(n_out),
        "activationlayer_1": ActivationLayer(f),
        "conv_2": convolution(n_out, n_out, 3),
        "norm_2": BatchNorm(n_out),
    }
    return Residual(branch, shortcut(n_in, n_out, stride), f)


def bottleneck(n_in: int, n_out: int, stride: int, f: F) -> Residual:
    """1x1 to a quarter of the channels, 3x3 on those, 1x1 to all.  He et al., figure 5, right."""
    quarter = n_out // 4
    branch: Layers = {
        "conv_1": convolution(n_in, quarter, 1),
        "norm_1": BatchNorm(quarter),
        "activationlayer_1": ActivationLayer(f),
        "conv_2": convolution(quarter, quarter, 3, stride),
        "norm_2": BatchNorm(quarter),
        "activationlayer_2": ActivationLayer(f),
        "conv_3": convolution(quarter, n_out, 1),
        "norm_3": BatchNorm(n_out),
    }
    return Residual(branch, shortcut(n_in, n_out, stride), f)


def shortcut(n_in: int, n_out: int, stride: int) -> Layers | None:
    """1x1 if the shape changes, else the identity.  He et al., section 3.3, option B."""
    if n_in == n_out and stride == 1:
        return None
    return {"conv": convolution(n_in, n_out, 1, stride), "norm": BatchNorm(n_out)}


def convolution(n_in: int, n_out: int, kernel_size: int, stride: int = 1) -> Conv2D:
    """A convolution that keeps the size, except for its stride, followed by BatchNorm."""
    padding = kernel_size // 2
    return Conv2D(n_in, n_out, kernel_size, stride, padding, weights="he_normal_out", biases=None)


def _channels(width: float) -> int:
    """Those of the first stage."""
    channels = 64 * checks.positive("resnet", "width", width)
    if not channels.is_integer():
        raise ValueError(
            "resnet: expected width to be a factor that makes 64 channels an integer, "
            f"got {width}, which makes them {channels:g}; try 1/4 or 1/2"
        )
    return int(channels)
