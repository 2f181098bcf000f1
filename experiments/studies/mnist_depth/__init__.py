"""Sigmoid against ReLU on MNIST, under the usual update rules."""

from studies.mnist_depth.study import STUDY

__all__ = ["STUDY"]
