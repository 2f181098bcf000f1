"""Adaptive piecewise linear units on CIFAR-10."""

from studies.adaptive_activations.study import STUDY

__all__ = ["STUDY"]
