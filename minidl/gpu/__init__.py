"""Everything that knows CUDA: the fused kernels, and a training step recorded as a graph."""

from minidl.gpu import kernels as kernels  # registers them
