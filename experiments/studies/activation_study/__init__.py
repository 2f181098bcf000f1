"""Five activation functions, two optimizers, MNIST and CIFAR-10."""

from studies.activation_study.study import STUDY

__all__ = ["STUDY"]
