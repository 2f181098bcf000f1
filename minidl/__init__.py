"""minidl: a neural-network engine by hand, every backward pass written out.

Read in this order: ``activations``, ``layers/dense``, ``layers/conv2d``, ``losses``, ``network``,
``optimizers``, ``training``, ``inspection``, ``gradcheck``.
"""

from minidl.activations import ACTIVATIONS, get_activation
from minidl.backend import DeviceError, get_device
from minidl.examples import Examples
from minidl.gradcheck import assert_gradients, check_gradients
from minidl.inspection import probe
from minidl.layers import (
    AveragePool2D,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePool2D,
    Layer,
    MaxPool2D,
)
from minidl.losses import BinaryCrossEntropy, MeanSquaredError, SoftmaxCrossEntropy
from minidl.network import Network, WeightsError
from minidl.optimizers import SGD, Adam, AdamW, RMSprop
from minidl.training import NonFiniteLoss, evaluate, train

__version__ = "0.1.0"

__all__ = [
    "ACTIVATIONS",
    "SGD",
    "Adam",
    "AdamW",
    "AveragePool2D",
    "BinaryCrossEntropy",
    "Conv2D",
    "Dense",
    "DeviceError",
    "Dropout",
    "Examples",
    "Flatten",
    "GlobalAveragePool2D",
    "Layer",
    "MaxPool2D",
    "MeanSquaredError",
    "Network",
    "NonFiniteLoss",
    "RMSprop",
    "SoftmaxCrossEntropy",
    "WeightsError",
    "assert_gradients",
    "check_gradients",
    "evaluate",
    "get_activation",
    "get_device",
    "probe",
    "train",
]
