"""Layers: one concept per file, forward and backward, nothing else."""

from minidl.layers.average_pool import AveragePool2D, GlobalAveragePool2D
from minidl.layers.base import Layer
from minidl.layers.conv2d import Conv2D
from minidl.layers.dense import Dense
from minidl.layers.dropout import Dropout
from minidl.layers.flatten import Flatten
from minidl.layers.max_pool import MaxPool2D

__all__ = [
    "AveragePool2D",
    "Conv2D",
    "Dense",
    "Dropout",
    "Flatten",
    "GlobalAveragePool2D",
    "Layer",
    "MaxPool2D",
]
