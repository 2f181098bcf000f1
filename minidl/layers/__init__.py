"""Layers: one concept per file, forward and backward, nothing else."""

from minidl.layers.base import Layer
from minidl.layers.dense import Dense
from minidl.layers.dropout import Dropout
from minidl.layers.flatten import Flatten

__all__ = ["Dense", "Dropout", "Flatten", "Layer"]
