"""Layers: one concept per file, forward and backward, nothing else."""

from minidl.layers._base import Layer
from minidl.layers.activation_layer import ActivationLayer
from minidl.layers.apl import APL
from minidl.layers.average_pool import AveragePool2D, GlobalAveragePool2D
from minidl.layers.batch_norm import BatchNorm
from minidl.layers.conv2d import Conv2D
from minidl.layers.dense import Dense
from minidl.layers.dropout import Dropout
from minidl.layers.embedding import Embedding
from minidl.layers.encoder_block import EncoderBlock
from minidl.layers.first_token import FirstToken
from minidl.layers.flatten import Flatten
from minidl.layers.glu import GLU, SwiGLU
from minidl.layers.layer_norm import LayerNorm
from minidl.layers.max_pool import MaxPool2D
from minidl.layers.position_embedding import PositionEmbedding
from minidl.layers.prelu import PReLU
from minidl.layers.residual import Residual
from minidl.layers.rrelu import RReLU
from minidl.layers.self_attention import SelfAttention
from minidl.layers.sequential import Sequential

__all__ = [
    "APL",
    "GLU",
    "ActivationLayer",
    "AveragePool2D",
    "BatchNorm",
    "Conv2D",
    "Dense",
    "Dropout",
    "Embedding",
    "EncoderBlock",
    "FirstToken",
    "Flatten",
    "GlobalAveragePool2D",
    "Layer",
    "LayerNorm",
    "MaxPool2D",
    "PReLU",
    "PositionEmbedding",
    "RReLU",
    "Residual",
    "SelfAttention",
    "Sequential",
    "SwiGLU",
]
