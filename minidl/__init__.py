"""minidl: a neural-network engine written by hand, with every backward pass spelled out.

Read in this order: ``training.step``, ``activations``, ``layers`` (``dense``, ``conv2d``, …),
``losses``, ``initializers``, ``network``, ``optimizers``, ``kernel``, ``training.loop``,
``gradcheck``, ``propagation``, ``inspection``, ``metrics``.
"""

from typing import Any

from minidl import _version, data_parallel, fast, gpu  # noqa: F401  # the last two register
from minidl._deprecated import renamed
from minidl.activations import ACTIVATIONS, get_activation
from minidl.backend import DeviceError, get_device
from minidl.data import Augmentation, Examples, Sentences
from minidl.gradcheck import (
    assert_gradients,
    assert_jac,
    assert_vjp,
    check_gradients,
    check_jac,
    check_vjp,
)
from minidl.inspection import probe
from minidl.layers import (
    APL,
    GLU,
    ActivationLayer,
    AveragePool2D,
    BatchNorm,
    Conv2D,
    Dense,
    Dropout,
    Embedding,
    EncoderBlock,
    FirstToken,
    Flatten,
    GlobalAveragePool2D,
    Layer,
    LayerNorm,
    MaxPool2D,
    PositionEmbedding,
    PReLU,
    Residual,
    RReLU,
    SelfAttention,
    Sequential,
    SwiGLU,
)
from minidl.losses import BinaryCrossEntropy, MeanSquaredError, SoftmaxCrossEntropy
from minidl.metrics import ClassReport, class_report, confusion_matrix, predict_labels
from minidl.network import Network, WeightsError
from minidl.optimizers import SGD, Adam, AdamW, RMSprop
from minidl.training import (
    Checkpoint,
    CosineAnnealing,
    EarlyStopping,
    LinearWarmUp,
    NonFiniteLoss,
    StepDecay,
    evaluate,
    fit,
    range_test,
    train,
)


def __getattr__(name: str) -> Any:
    return _version.installed() if name == "__version__" else renamed(name)


__all__ = [
    "ACTIVATIONS",
    "APL",
    "GLU",
    "SGD",
    "ActivationLayer",
    "Adam",
    "AdamW",
    "Augmentation",
    "AveragePool2D",
    "BatchNorm",
    "BinaryCrossEntropy",
    "Checkpoint",
    "ClassReport",
    "Conv2D",
    "CosineAnnealing",
    "Dense",
    "DeviceError",
    "Dropout",
    "EarlyStopping",
    "Embedding",
    "EncoderBlock",
    "Examples",
    "FirstToken",
    "Flatten",
    "GlobalAveragePool2D",
    "Layer",
    "LayerNorm",
    "LinearWarmUp",
    "MaxPool2D",
    "MeanSquaredError",
    "Network",
    "NonFiniteLoss",
    "PReLU",
    "PositionEmbedding",
    "RMSprop",
    "RReLU",
    "Residual",
    "SelfAttention",
    "Sentences",
    "Sequential",
    "SoftmaxCrossEntropy",
    "StepDecay",
    "SwiGLU",
    "WeightsError",
    "assert_gradients",
    "assert_jac",
    "assert_vjp",
    "check_gradients",
    "check_jac",
    "check_vjp",
    "class_report",
    "confusion_matrix",
    "evaluate",
    "fit",
    "get_activation",
    "get_device",
    "predict_labels",
    "probe",
    "range_test",
    "train",
]
