"""Embedding, LayerNorm, self-attention and encoder block: by hand, their laws, their messages."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest

from minidl import (
    GLU,
    ActivationLayer,
    Dense,
    Embedding,
    EncoderBlock,
    FirstToken,
    LayerNorm,
    Network,
    PositionEmbedding,
    Residual,
    SelfAttention,
    Sequential,
    SoftmaxCrossEntropy,
    assert_gradients,
    evaluate,
)
from minidl.backend import to_numpy
from minidl.data import Sentences
from minidl.inspection import unit_stats

RNG = np.random.default_rng(0)
TOKENS = np.array([[3, 1, 4, 1, 5], [2, 6, 0, 0, 0]])


# -- by hand ----------------------------------------------------------------------------------


def test_embedding_by_hand(device):
    layer = Embedding(4, 2, padding=0).build(dtype="float64", device=device)
    layer.W[...] = device.asarray(np.array([[9.0, 9], [1, 2], [3, 4], [5, 6]]))
    y = layer(device.asarray(np.array([[2, 1, 2], [3, 0, 0]])))
    np.testing.assert_array_equal(to_numpy(y)[0], [[3, 4], [1, 2], [3, 4]])
    np.testing.assert_array_equal(to_numpy(layer.mask), [[1, 1, 1], [1, 0, 0]])
    dy = np.array([[[1.0, 0], [2, 0], [4, 1]], [[8, 0], [0, 0], [0, 0]]])
    assert layer.backward(device.asarray(dy)) is None
    np.testing.assert_array_equal(to_numpy(layer.dW), [[0, 0], [2, 0], [5, 1], [8, 0]])


def test_layer_norm_by_hand():
    layer = LayerNorm(2, epsilon=1e-30).build(dtype="float64")
    layer.gamma[...], layer.beta[...] = [2, 3], [10, 20]
    y = layer(np.array([[1.0, 5.0], [7.0, 3.0]]))
    np.testing.assert_allclose(y, [[8, 23], [12, 17]])  # x̂ is −1, 1 and 1, −1
    dx = layer.backward(np.array([[1.0, 1.0], [0.0, 2.0]]))
    np.testing.assert_array_equal(layer.dbeta, [1, 3])
    np.testing.assert_array_equal(layer.dgamma, [-1, -1])
    np.testing.assert_allclose(dx, 0, atol=1e-15)  # two features have no third direction


def test_position_embedding_and_first_token_by_hand():
    layer = PositionEmbedding(3, 2).build(dtype="float64")
    layer.W[...] = [[1, 0], [0, 1], [7, 7]]
    np.testing.assert_array_equal(layer(np.zeros((2, 2, 2)))[1], [[1, 0], [0, 1]])
    dy = np.arange(8.0).reshape(2, 2, 2)
    assert layer.backward(dy) is dy
    np.testing.assert_array_equal(layer.dW, [[4, 6], [8, 10], [0, 0]])
    first = FirstToken()
    np.testing.assert_array_equal(first(dy), [[0, 1], [4, 5]])
    np.testing.assert_array_equal(first.backward(np.ones((2, 2)))[0], [[1, 1], [0, 0]])


def bare(features=1, heads=1, **options):
    """Attention whose four maps are the identity."""
    layer = SelfAttention(features, heads, **options).build(dtype="float64")
    for part in (layer.query, layer.key, layer.value, layer.output):
        part.W[...] = np.eye(features)
    return layer


def test_attention_of_two_tokens_by_hand():
    layer = bare()
    L3 = math.log(3)
    y = layer(np.array([[[1.0], [1 + L3]]]))
    np.testing.assert_allclose(layer.P[0, 0, 0], [0.25, 0.75])  # scores 1 and 1 + ln 3
    np.testing.assert_allclose(y[0, 0], 0.25 + 0.75 * (1 + L3))
    layer.backward(np.array([[[16.0], [0.0]]]))
    dP = 16 * np.array([1, 1 + L3])
    dS = 3 / 16 * (dP[1] - dP[0])  # p (1 − p) for two tokens, and its negative
    np.testing.assert_allclose(layer.dS[0, 0], [[-dS, dS], [0, 0]], atol=1e-14)


# -- laws -------------------------------------------------------------------------------------


def attention(heads=2, **options):
    layer = SelfAttention(6, heads, **options).build(rng=1, dtype="float64")
    for part in layer.walk():
        for value in part.parameters().values():
            value[...] = np.random.default_rng(2).normal(0, 0.8, value.shape)
    return layer


def test_rows_of_p_sum_to_one_and_rows_of_ds_to_zero():
    layer = attention()
    layer(RNG.normal(0, 2, (3, 5, 6)))
    layer.backward(RNG.normal(0, 2, (3, 5, 6)))
    np.testing.assert_allclose(layer.P.sum(-1), 1, rtol=1e-14)
    np.testing.assert_allclose(layer.dS.sum(-1), 0, atol=1e-13)
    assert np.abs(layer.key.db).max() < 1e-13 < 1e-3 < np.abs(layer.query.db).min()


def test_the_bias_of_the_keys_changes_nothing():
    layer, x = attention(), RNG.standard_normal((2, 4, 6))
    y = layer(x)
    layer.key.b[...] += 3
    np.testing.assert_allclose(layer(x), y, rtol=0, atol=1e-12)


def test_attention_ignores_the_order_of_tokens_and_of_sentences():
    layer, x = attention(), RNG.standard_normal((3, 5, 6))
    order = RNG.permutation(5)
    np.testing.assert_allclose(layer(x)[:, order], layer(x[:, order]), atol=1e-13)
    np.testing.assert_allclose(layer(x)[::-1], layer(x[::-1]), atol=1e-13)


@pytest.mark.parametrize("make", [SelfAttention, lambda D, h, **o: EncoderBlock(D, h, 8, **o)])
def test_padding_has_probability_0_and_changes_nothing(make, device):
    tokens = Embedding(9, 6, padding=0)
    chain = Sequential([tokens, make(6, 2, tokens=tokens)]).build(1, "float64", device)
    layer = chain.layers[1]
    layer = getattr(layer, "attention", layer)
    y = to_numpy(chain(device.asarray(TOKENS)))
    P = to_numpy(layer.P)
    assert (P[1, :, :, 2:] == 0).all()
    assert (P[1, :, :, :2] > 0).all()
    assert (P[0] > 0).all()

    longer = np.pad(TOKENS, ((0, 0), (0, 4)))
    np.testing.assert_allclose(to_numpy(chain(device.asarray(longer)))[:, :5], y, atol=1e-13)
    tokens.W[0] = tokens.W[7]  # another vector at padding
    again = to_numpy(chain(device.asarray(TOKENS)))
    np.testing.assert_allclose(again[0], y[0], rtol=0, atol=1e-13)
    np.testing.assert_allclose(again[1, :2], y[1, :2], rtol=0, atol=1e-13)
    assert np.abs(again[1, 2:] - y[1, 2:]).max() > 0.01


SENTENCES = {
    "encoder block": lambda **o: [EncoderBlock(6, 2, 8, **o), FirstToken()],
    "in a branch": lambda **o: [Residual([LayerNorm(6), SelfAttention(6, 2, **o)]), FirstToken()],
    "in chains": lambda **o: [
        Sequential([Sequential([EncoderBlock(6, 2, 8, pre_norm=True, **o)])])
    ],
}


@pytest.mark.parametrize("make", SENTENCES.values(), ids=SENTENCES)
def test_a_network_connects_every_attention_with_the_padding_of_its_embedding(make):
    def logits(network, tokens):
        y = network.forward(tokens)
        return y[:, 0] if y.ndim == 3 else y

    alone = Network([Embedding(9, 6, padding=0), *make()], (9,), 1, "float64")
    tokens = Embedding(9, 6, padding=0)
    given = Network([tokens, *make(tokens=tokens)], (9,), 1, "float64")
    short, longer = TOKENS[1:, :2], np.pad(TOKENS, ((0, 0), (0, 4)))
    y = logits(alone, TOKENS)
    np.testing.assert_array_equal(y, logits(given, TOKENS))
    np.testing.assert_allclose(logits(alone, longer), y, rtol=0, atol=1e-13)
    np.testing.assert_allclose(logits(alone, short), y[1:], rtol=0, atol=1e-13)
    without = Network([Embedding(9, 6), *make()], (9,), 1, "float64")
    assert np.abs(logits(without, longer) - logits(without, TOKENS))[1].max() > 1e-3

    copied = copy.deepcopy(alone)
    copied.forward(short)
    np.testing.assert_array_equal(logits(alone, TOKENS), y)
    np.testing.assert_allclose(logits(copied, longer), y, rtol=0, atol=1e-13)
    assert "masked" in alone.summary() + repr(alone)


def test_an_attention_whose_embedding_is_outside_the_network_is_refused_by_name():
    outside = Embedding(9, 6, padding=0)
    for layers in (
        [Embedding(9, 6, padding=0), Residual([SelfAttention(6, 2, tokens=outside)])],
        [Dense(6, 6), EncoderBlock(6, 2, 8, tokens=outside)],
    ):
        shape = (5,) if isinstance(layers[0], Embedding) else (5, 6)
        with pytest.raises(
            ValueError, match=r"Network: layer \w+_1\.(branch\.self)?attention.* got"
        ):
            Network(layers, shape)


def test_a_sentence_of_nothing_but_padding_gets_zeros_forward_and_backward(device):
    """As torch.nn.functional.scaled_dot_product_attention gives for a row without any key."""
    network = Network(
        [Embedding(9, 6, padding=0), EncoderBlock(6, 2, 8), FirstToken(), Dense(6, 2)],
        *((5,), 1, "float64", device),
    )
    tokens = device.asarray(np.concatenate([TOKENS, 0 * TOKENS[:1]]))
    dy = device.asarray(np.array([[1.0, -2], [3, 0.5], [0, 0]]))
    y = to_numpy(network.forward(tokens))
    assert (to_numpy(network["encoderblock_1.attention"].P)[2] == 0).all()
    network.backward(dy)
    gradient = to_numpy(network.dtheta).copy()
    np.testing.assert_allclose(to_numpy(network.forward(tokens[:2])), y[:2], rtol=1e-12)
    network.backward(dy[:2])
    np.testing.assert_allclose(gradient, to_numpy(network.dtheta), rtol=1e-10, atol=1e-13)
    dy[2] = 1  # even if it counts
    network.forward(tokens)
    network.backward(dy)
    assert np.isfinite(to_numpy(network.dtheta)).all()
    assert np.isfinite(y).all()
    targets = device.asarray(np.array([0, 1, 1]))
    assert_gradients(network, tokens, targets, loss=SoftmaxCrossEntropy(), directions=1)


@pytest.mark.peer
def test_attention_over_nothing_equals_pytorchs():
    torch = pytest.importorskip("torch", reason="needs PyTorch to compare with")
    tokens = Embedding(9, 6, padding=0)
    layer = bare(6, 2, tokens=tokens)
    tokens.build(dtype="float64")(np.concatenate([TOKENS, 0 * TOKENS[:1]]))
    x, dy = RNG.standard_normal((2, 3, 5, 6))
    ours = [layer(x), layer.backward(dy)]
    theirs = torch.tensor(x, requires_grad=True)
    heads = theirs.reshape(3, 5, 2, 3).transpose(1, 2)
    mask = torch.tensor(tokens.mask)[:, None, None, :].expand(3, 2, 5, 5)
    o = torch.nn.functional.scaled_dot_product_attention(heads, heads, heads, mask)
    y = o.transpose(1, 2).reshape(3, 5, 6)
    y.backward(torch.tensor(dy))
    for a, b in zip(ours, (y, theirs.grad), strict=True):
        np.testing.assert_allclose(a, b.detach().numpy(), rtol=1e-10, atol=1e-12)
    assert (ours[0][2] == 0).all()
    assert (ours[1][2] == 0).all()


def test_no_gradient_comes_from_padding():
    tokens = Embedding(9, 6, padding=0)
    chain = Sequential([tokens, EncoderBlock(6, 2, 8, tokens=tokens), FirstToken()])
    chain.build(1, "float64")(TOKENS)
    chain.backward(np.ones((2, 6)))
    assert (tokens.dW[0] == 0).all()
    assert (chain.layers[1].attention.dS[1, :, :, 2:] == 0).all()
    assert (tokens.dW[[1, 2, 3, 4, 5, 6]] != 0).all()


def test_dropout_drops_probabilities_and_keeps_their_mean():
    layer = attention(dropout=0.25)
    x = RNG.standard_normal((40, 12, 6))
    layer(x, training=True)
    ratio = layer.A / layer.P
    assert set(np.unique(ratio.round(12))) == {0, round(4 / 3, 12)}
    assert (ratio == 0).mean() == pytest.approx(0.25, abs=0.02)
    layer(x)
    assert layer.A is layer.P


def test_pre_norm_passes_the_gradient_unchanged_if_the_branches_are_zero():
    x, dy = RNG.standard_normal((2, 2, 3, 6))
    for pre_norm in (True, False):
        block = EncoderBlock(6, 2, 8, pre_norm=pre_norm).build(dtype="float64")
        block.attention.output.W[...] = 0
        block.feed_forward.layers[-1].W[...] = 0
        block(x)
        assert np.allclose(block.backward(dy), dy) == pre_norm


# -- in a network -----------------------------------------------------------------------------


def test_a_unit_of_a_sentence_is_dead_if_it_is_dead_at_every_token():
    network = Network([ActivationLayer("relu")], (2, 3), dtype="float64")
    network.forward(np.array([[[1.0, -1, -1], [-1, -1, 1]]]))
    (figures,) = unit_stats(network)
    assert (figures.dead, figures.saturated) == (pytest.approx(1 / 3), pytest.approx(4 / 6))


def test_a_network_of_tokens_takes_shorter_sentences_and_refuses_other_inputs():
    network = Network([Embedding(9, 6), PositionEmbedding(5, 6), FirstToken(), Dense(6, 2)], (5,))
    assert network.forward(TOKENS).shape == network.forward(TOKENS[:, :2]).shape == (2, 2)
    assert network.predict(TOKENS[:, :3]).shape == (2, 2)
    assert network.backward(np.ones((2, 2), np.float32), input_gradient=True) is None
    assert network.shapes[0] == (5, 6)
    assert "(N, 5, 6)" in network.summary()
    for x, kind, message in (
        (np.pad(TOKENS, ((0, 0), (0, 1))), ValueError, r"expected input \(N, 5\), or shorter, .*6"),
        (TOKENS[:, :0], ValueError, r"expected input \(N, 5\)"),
        (TOKENS * 1.0, ValueError, "expected x to be an array of integers, got float64"),
    ):
        with pytest.raises(kind, match=message):
            network.forward(x)
    with pytest.raises(ValueError, match="expected tokens from 0 to 8, got 3 to 9"):
        network.predict(TOKENS + 3)


def test_the_states_of_all_tokens_are_predicted_at_the_given_width():
    network = Network([Embedding(9, 6), LayerNorm(6)], (7,))
    assert network.predict(TOKENS).shape == (2, 5, 6)


def test_a_gate_halves_the_hidden_units():
    block = EncoderBlock(6, 2, 8, "glu").build()
    up, gate, down = block.feed_forward.layers
    assert (up.n_out, type(gate), down.n_in) == (8, GLU, 4)


def test_sentences_must_have_the_padding_of_the_embedding():
    def network(padding):
        layers = [Embedding(9, 6, padding), SelfAttention(6, 2), FirstToken(), Dense(6, 2)]
        return Network(layers, (5,))

    labels, loss = np.arange(2), SoftmaxCrossEntropy()
    evaluate(network(0), Sentences(TOKENS, labels), loss)
    evaluate(network(None), Sentences(TOKENS[:1], labels[:1]), loss)  # nothing is padded
    for padding in (None, 1):
        with pytest.raises(ValueError, match="whose padding is that of the sentences, 0, got Emb"):
            evaluate(network(padding), Sentences(TOKENS, labels), loss)
