"""Sigmoid against ReLU in a small convolutional network on CIFAR-10."""

from studies.cifar10_cnn.study import STUDY

__all__ = ["STUDY"]
