"""Sigmoid against ReLU on CIFAR-100."""

from studies.cifar100.study import STUDY

__all__ = ["STUDY"]
