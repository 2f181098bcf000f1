"""What layers refuse: each message says what was expected, what came, and the way out."""

from __future__ import annotations

import numpy as np
import pytest

from minidl import (
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
    LayerNorm,
    MaxPool2D,
    Network,
    PositionEmbedding,
    PReLU,
    Residual,
    RReLU,
    SelfAttention,
    SwiGLU,
)

TOKENS = np.array([[3, 1, 4, 1, 5], [2, 6, 0, 0, 0]])
TWICE = Dense(4, 4)


def called(layer, shape, **options):
    """The layer alone, on ones of this shape."""
    return layer.build()(np.ones(shape, np.float32), **options)


ARGUMENTS = [
    (lambda: ActivationLayer("rleu"), "expected one of linear, .*, got 'rleu'"),
    (lambda: APL("8", 2), "APL: expected channels to be an integer >= 1, got '8'"),
    (lambda: APL(8, 0), "APL: expected hinges to be an integer >= 1, got 0"),
    (lambda: AveragePool2D(2, 0), "AveragePool2D: expected stride, .* >= 1, got 0"),
    (lambda: BatchNorm(0), "BatchNorm: expected channels to be an integer >= 1"),
    (lambda: BatchNorm(2.5), "integer >= 1, got 2.5"),
    (lambda: BatchNorm(2, momentum=1), "momentum >= 0 and < 1, got 1"),
    (lambda: BatchNorm(2, momentum=np.nan), "momentum >= 0 and < 1, got nan"),
    (lambda: BatchNorm(2, epsilon=0), "epsilon above 0, got 0"),
    (lambda: Conv2D(0, 8, 3), "Conv2D: expected channels_in to be an integer >= 1, got 0"),
    (
        lambda: Conv2D(3, 8, 2.5),
        "the size of its windows, one number .* to be an integer >= 1, got 2.5",
    ),
    (lambda: Conv2D(3, 8, (3, 3, 3)), r"got \(3, 3, 3\)"),
    (lambda: Conv2D(3, 8, 3, 0), "expected stride, .* >= 1, got 0"),
    (lambda: Conv2D(3, 8, 3, 1, -1), "expected padding, .* >= 0, got -1"),
    (lambda: Conv2D(3, 8, 3, 1, "same"), "padding, .* got 'same'"),
    (
        lambda: Conv2D(3, 8, 3, activation="softmax"),
        "Conv2D: expected an element-wise activation, got softmax; put it into a Dense layer",
    ),
    (lambda: Embedding(4, 2, 4), "expected padding below 4, one of the tokens, got 4"),
    (lambda: EncoderBlock(6, 2, 7, "glu"), "even hidden, to be halved by glu, got 7"),
    (lambda: MaxPool2D(0), "MaxPool2D: expected the size of its windows, .* got 0"),
    (
        lambda: MaxPool2D(3, 2, 2),
        r"MaxPool2D\(3x3, stride 2, padding 2\): expected a padding of at most half the window",
    ),
    (lambda: PReLU(0), "PReLU: expected channels to be an integer >= 1, got 0"),
    (lambda: Residual([]), "Sequential: expected at least one layer, got none"),
    (
        lambda: Residual([Dense(4, 4)], activation="softmax"),
        "Residual: expected an element-wise activation, got softmax; put it into a Dense layer",
    ),
    (lambda: RReLU(0.5, 0.2), r"randomized_leaky_relu: expected low up to high 0\.2"),
    (lambda: SelfAttention(6, 4), "features to be a multiple of the heads, got 6 for 4"),
    (lambda: SelfAttention(6, 2, tokens=3), "tokens to be the Embedding .*, got 3"),
]

INPUTS = [
    (
        lambda: called(BatchNorm(32), (64, 784)),
        r"BatchNorm\(32\): expected input \(N, 32\) or \(N, 32, H, W\), got \(N, 784\); "
        "does the layer before give 32 units or channels?",
    ),
    (lambda: called(BatchNorm(2), (2,)), r"got \(N,\)"),
    (
        lambda: called(BatchNorm(3), (1, 3), training=True),
        r"BatchNorm\(3\): expected more than one value per channel in training, got "
        "1; choose a batch size that leaves no batch of one",
    ),
    (
        lambda: called(Conv2D(3, 8, 3), (1, 3, 2, 9)),
        "expected images of at least 3x3 with their padding, got 2x9",
    ),
    (lambda: called(Conv2D(3, 8, 3), (5,)), r"got \(N,\); put no Flat"),
    (lambda: Embedding(9, 2).build()(TOKENS[0]), r"expected input \(N, T\), got \(N,\); a row"),
    (lambda: Embedding(9, 2).build()(TOKENS * 1.0), "array of integers, got float64"),
    (lambda: Embedding(4, 2).build()(TOKENS), "from 0 to 3, got 0 to 6; is it the"),
    (lambda: called(FirstToken(), (2, 3)), r"input \(N, T, D\), got \(N, 3\)"),
    (
        lambda: called(GlobalAveragePool2D(), (2, 3)),
        r"GlobalAveragePool2D\(\): expected input \(N, C, height, width\), got \(N, 3\); put no",
    ),
    (
        lambda: called(GLU(), (3, 7)),
        r"GLU\(\): expected input \(N, 2n\), \(N, T, 2n\) or \(N, 2n, H, W\), got \(N, 7\); "
        "let the layer before give two features for each one that is wanted",
    ),
    (lambda: called(SwiGLU(), (4,)), r"SwiGLU\(\): .* got \(N,\)"),
    (lambda: called(LayerNorm(3), (2, 4)), r"\(N, 3\) or \(N, T, 3\), got"),
    (
        lambda: called(MaxPool2D(3), (1, 1, 2, 5)),
        r"MaxPool2D\(3x3\): expected images of at least 3x3 with their padding, got 2x5",
    ),
    (
        lambda: PositionEmbedding(3, 2).output_shape((4, 2)),
        r"T up to 3, got \(N, 4, 2\); cut longer sentences off",
    ),
    (
        lambda: called(PReLU(4), (3, 2)),
        r"PReLU\(4\): expected input \(N, 4\) or \(N, 4, H, W\), got \(N, 2\)",
    ),
    (lambda: called(Residual([Dense(4, 1)]), (6, 4)), r"got \(N, 1\) and \(N, 4\)"),
    (lambda: called(SelfAttention(6, 2), (2, 3, 5)), r"input \(N, T, 6\), got \(N, 3, 5\)"),
]

IN_A_NETWORK = [
    ([APL(8, 2)], (3, 32, 32), r"APL\(8, hinges=2\): expected input .* got \(N, 3, 32, 32\)"),
    (
        [Dense(4, 5), BatchNorm(4)],
        4,
        r"layer batchnorm_1 does not fit: BatchNorm\(4\): .* got \(N, 5\)",
    ),
    (
        [Embedding(9, 5), BatchNorm(5)],  # it would take the tokens for channels
        (5,),
        r"BatchNorm\(5\): expected input \(N, 5\) or \(N, 5, H, W\), got \(N, 5, 5\)",
    ),
    (
        [Flatten(), Conv2D(3, 8, 3)],
        (3, 32, 32),
        r"layer conv2d_1 does not fit: Conv2D\(3 -> 8, 3x3\): expected input "
        r"\(N, 3, height, width\), got \(N, 3072\); put no Flatten before it, and reshape",
    ),
    (
        [Conv2D(3, 8, 3)],
        (32, 32, 3),
        r"got \(N, 32, 32, 3\); the channels come first: images.transpose\(0, 3, 1, 2\)",
    ),
    (
        [Conv2D(3, 8, 3), Conv2D(6, 8, 3)],
        (3, 9, 9),
        r"conv2d_2 does not fit: .* expected input \(N, 6, height, width\), got \(N, 8, 7, 7\); "
        r"is channels_in that of the layer before\?",
    ),
    (
        [Conv2D(3, 8, 5, padding=1)],
        (3, 2, 9),
        "expected images of at least 5x5 with their padding, got 2x9; use a smaller window, or",
    ),
    (
        [Flatten(), MaxPool2D(2)],
        (3, 8, 8),
        r"layer maxpool2d_1 does not fit: MaxPool2D\(2x2\): expected input "
        r"\(N, C, height, width\), got \(N, 192\); put no Flatten before it",
    ),
    ([Dense(4, 5), SwiGLU()], 4, r"layer swiglu_1 .*SwiGLU\(\): expected .* got \(N, 5\)"),
    (
        [Residual([Dense(4, 5)])],
        4,
        r"Network: layer residual_1 does not fit: Residual\(1 layer \+ identity\): expected the "
        r"same shape from branch and shortcut, got \(N, 5\) and \(N, 4\); let the last layer of "
        "the branch give what its input has, or give the shortcut layers of its own",
    ),
    (
        [Residual([Dense(4, 5)], [Dense(4, 6), Flatten()])],
        4,
        r"Residual\(1 layer \+ 2 layers\): .* got \(N, 5\) and \(N, 6\)",
    ),
    (
        [Dense(4, 4), Residual([Dense(4, 5), Dense(4, 4)])],
        4,
        "Network: layer residual_1 does not fit: layer residual_1.branch.dense_2 does not fit: "
        r"Dense\(4 -> 4\): expected input \(N, 4\), got \(N, 5\)",
    ),
    (
        [TWICE, Residual([TWICE])],
        4,
        "a layer is in it twice; make a new one for each place",
    ),
]


@pytest.mark.parametrize(("call", "message"), ARGUMENTS + INPUTS)
def test_arguments_and_inputs(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(("layers", "shape", "message"), IN_A_NETWORK)
def test_layers_that_do_not_fit_into_a_network(layers, shape, message):
    with pytest.raises(ValueError, match=message):
        Network(layers, shape)


def test_softmax_refuses_images_of_which_it_would_take_the_columns_for_classes():
    with pytest.raises(
        ValueError, match=r"got \(N, 3, 4, 5\); of images .*: put Flatten or Global"
    ):
        Network([ActivationLayer("softmax")], (3, 4, 5))


def test_noise_needs_a_generator_in_training():
    for layer in (RReLU(), Dropout(0.5)):
        with pytest.raises(RuntimeError, match="has no generator yet"):
            layer(np.ones((2, 3), np.float32), training=True)
