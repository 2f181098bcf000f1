"""Five activation functions in ResNet-50, two optimizers, MNIST and CIFAR-10."""

from studies.resnet50.study import STUDY

__all__ = ["STUDY"]
