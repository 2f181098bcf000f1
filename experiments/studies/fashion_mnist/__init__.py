"""Sigmoid against ReLU on Fashion-MNIST."""

from studies.fashion_mnist.study import STUDY

__all__ = ["STUDY"]
