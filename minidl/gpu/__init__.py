"""Everything that knows CUDA: the fused kernels, and a training step recorded as a graph."""

from minidl.gpu.graph import GraphError
from minidl.gpu.step import train

__all__ = ["GraphError", "train"]
