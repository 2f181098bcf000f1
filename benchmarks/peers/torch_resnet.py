"""torchvision's residual networks, with the stem and the width that minidl's can have."""

from torch import nn
from torchvision import models


def torchvision_resnet(name, classes, channels=3, width=1, stem_kernel=7, stem_stride=2, f=None):
    """The network ``name``, like ``"resnet50"``; ``f()`` makes the activation of each layer."""
    network = getattr(models, name)(num_classes=classes)
    stem = nn.Conv2d(channels, int(64 * width), stem_kernel, stem_stride, stem_kernel // 2)
    stem.bias = None
    network.conv1 = stem
    if width != 1:
        _narrow(network, width, classes)
    if f is not None:
        for module in network.modules():
            if hasattr(module, "relu"):
                module.relu = f()
    return network


def _narrow(network, width, classes):
    """Other stages by torchvision's own method, which takes the width of each."""
    block = type(network.layer1[0])
    network.inplanes = int(64 * width)
    network.bn1 = nn.BatchNorm2d(network.inplanes)
    for number in (1, 2, 3, 4):
        depth, planes = len(getattr(network, f"layer{number}")), int(64 * width) * 2 ** (number - 1)
        stage = network._make_layer(block, planes, depth, 1 if number == 1 else 2)
        setattr(network, f"layer{number}", stage)
    network.fc = nn.Linear(network.inplanes, classes)
