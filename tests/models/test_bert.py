"""BERT against transformers in float64: states, gradients, losses by step; and its laws."""

from __future__ import annotations

import functools
import threading

import numpy as np
import pytest
from make_bert import (
    DECAYS,
    LABELS,
    PLACE,
    RATE,
    STEPS,
    TOKENS,
    transformers_losses,
    transformers_values,
    weights,
)

from minidl import Dense, Examples, SoftmaxCrossEntropy, train
from minidl.backend import to_numpy
from minidl.data import Sentences
from minidl.models import BertSizes, bert, load_bert, pretrained, sentence_embeddings
from minidl.models.bert_tensors import places_of
from minidl.optimizers import AdamW, is_matrix
from minidl.training.checkpoint import Checkpoint, Stopped

GOLDEN = dict(np.load(PLACE))


def our_network(source, head, device="cpu", **options):
    network = load_bert(source, len(head["bias"]), dropout=0.0, dtype="float64", device=device)
    network["classifier"].W[...] = network.device.asarray(head["weight"].T.copy())
    network["classifier"].b[...] = network.device.asarray(head["bias"])
    return network


def our_values(source, head, tokens, labels, device="cpu"):
    """The same values as transformers_values, under the same names."""
    network = our_network(source, head, device)
    tokens, labels = network.device.asarray(tokens), network.device.asarray(labels)
    logits = network.forward(tokens, training=True)
    loss, dlogits = SoftmaxCrossEntropy()(logits, labels)
    network.backward(dlogits)
    found = {"states 0": network["dropout"].y, "pooler": network["pooler"].y}
    found |= {f"states {i}": network[f"block_{i}"].y for i in range(1, source.sizes.blocks + 1)}
    found |= {"logits": logits, "loss": np.asarray(float(loss))}
    places = places_of(source.sizes, pooler=True)
    places |= {"classifier.weight": ("classifier", "W"), "classifier.bias": ("classifier", "b")}
    for name, (layer, parameter) in places.items():
        gradient = getattr(network[layer], "d" + parameter)
        found[f"d {name}"] = gradient.T if isinstance(network[layer], Dense) else gradient
    return {name: to_numpy(value) for name, value in found.items()}


def compare(ours, theirs):
    values = {name for name in theirs if name != "made by" and not name.startswith("losses")}
    assert set(ours) == values
    for name in values:
        scale = np.abs(theirs[name]).max()
        atol = 1e-13 if "key.bias" in name else 1e-10 * scale
        np.testing.assert_allclose(ours[name], theirs[name], rtol=0, atol=atol, err_msg=name)


def test_states_logits_and_every_gradient_equal_the_golden_ones(place):
    compare(our_values(*weights(), TOKENS, LABELS, place), GOLDEN)


@pytest.mark.peer
def test_they_equal_those_of_the_installed_transformers():
    pytest.importorskip("torch", reason="needs PyTorch to compare with")
    pytest.importorskip("transformers", reason="needs transformers to compare with")
    source, head = weights()
    theirs = transformers_values(source, head, TOKENS, LABELS)
    compare(our_values(source, head, TOKENS, LABELS), theirs)
    for name, decay in DECAYS.items():
        losses = transformers_losses(source, head, TOKENS, LABELS, decay)
        np.testing.assert_allclose(losses, GOLDEN[f"losses, {name}"], rtol=1e-10)


def our_losses(decay, device="cpu"):
    network, loss = our_network(*weights(), device), SoftmaxCrossEntropy()
    optimizer = AdamW(RATE, weight_decay=decay, clip_norm=1.0, decays=is_matrix)
    optimizer.expect_network(network)
    tokens, labels = map(network.device.asarray, (TOKENS, LABELS))
    losses = []
    for _ in range(STEPS):
        value, dlogits = loss(network.forward(tokens, training=True), labels)
        network.backward(dlogits)
        optimizer.step(network.theta, network.dtheta)
        losses.append(float(value))
    return losses


@pytest.mark.parametrize("name", DECAYS)
def test_losses_of_ten_steps_equal_the_golden_ones(name, place):
    golden = GOLDEN[f"losses, {name}"]
    np.testing.assert_allclose(our_losses(DECAYS[name], place), golden, rtol=1e-8)


def test_the_golden_values_would_reveal_a_wrong_one():
    without, with_decay = (GOLDEN[f"losses, {name}"] for name in DECAYS)
    assert abs(without[-1] - with_decay[-1]) > 1e-4
    assert without[0] - without[-1] > 0.1
    key = [np.abs(v).max() for k, v in GOLDEN.items() if k.startswith("d ") and "key.bias" in k]
    others = {k: np.abs(v).max() for k, v in GOLDEN.items() if k.startswith("d ")}
    assert max(key) < 1e-14
    assert min(v for k, v in others.items() if "key.bias" not in k) > 1e-4
    for name in ("states 0", "states 3", "pooler", "logits"):
        assert np.unique(GOLDEN[name].round(9)).size > 0.7 * GOLDEN[name].size


# -- models ---------------------------------------------------------------------------------


def test_the_size_of_bert_base_and_how_it_starts():
    sizes = BertSizes(vocabulary=101, features=24, blocks=2, heads=3, hidden=48, positions=16)
    network = bert(sizes, classes=3)
    D, F = 24, 48
    block = 4 * (D * D + D) + 2 * D * F + F + D + 4 * D
    head = D * D + D + 3 * D + 3
    assert network.theta.size == (101 + 16 + 2) * D + 2 * D + 2 * block + head
    assert network["block_2.feed_forward.dense_1"].W.std() == pytest.approx(0.02, rel=0.1)
    assert network["tokens"].W.std() == pytest.approx(0.02, rel=0.1)
    assert network.forward(np.ones((2, 9), int)).shape == (2, 3)
    names = [layer.name for layer in network.layers]
    assert names[:5] == ["tokens", "positions", "segments", "norm", "dropout"]
    assert names[5:7] == ["block_1", "block_2"]
    assert names[7:] == ["first", "pooler", "dropout_of_pooler", "classifier"]
    assert bert(sizes, classes=None).layers[-1].name == "block_2"


def test_another_activation_keeps_the_pretrained_weights_that_fit_it():
    source, _ = weights()
    theirs = {
        name: source.tensors[f"encoder.layer.1.{name}.dense.weight"].T.astype(np.float32)
        for name in ("intermediate", "output")
    }
    for activation in ("glu", "swiglu", "square", "penalized_tanh", "gelu"):
        network = load_bert(source, activation=activation, rng=3)
        first, *_, second = network["block_2.feed_forward"].layers
        np.testing.assert_array_equal(first.W, theirs["intermediate"], err_msg=activation)
        if activation in ("glu", "swiglu"):
            assert second.W.shape == (8, 12)
            assert 0.8 / np.sqrt(8) < np.abs(second.W).max() < 1 / np.sqrt(8)
            continue
        np.testing.assert_array_equal(second.W, theirs["output"], err_msg=activation)
        fresh = load_bert(source, activation=activation, rng=3, fresh_output=True)
        assert np.abs(fresh["block_2.feed_forward.dense_2"].W).max() < 1 / np.sqrt(16)
        gamma = network["block_2.norm_2"].gamma
        np.testing.assert_array_equal(fresh["block_2.norm_2"].gamma, gamma, err_msg=activation)


def test_sentence_embeddings_need_a_token():
    network = bert(BertSizes(30, 8, 1, 2, 8, 12), classes=None)
    vectors = sentence_embeddings(network, TOKENS)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(sentence_embeddings(network, TOKENS[1:2, :4]), vectors[1:2], 1e-4)
    assert sentence_embeddings(network, TOKENS[:0]).shape == (0, 8)
    with pytest.raises(ValueError, match="got only padding in sentence 1"):
        sentence_embeddings(network, TOKENS * [[1], [0], [1], [1]])
    with pytest.raises(ValueError, match=r"classes=None, got one that gives \(N, 2\)"):
        sentence_embeddings(bert(BertSizes(30, 8, 1, 2, 8, 12)), TOKENS)  # N = T would broadcast


# -- learning ---------------------------------------------------------------------------------


def task(n=96):
    """The task: is token 7 anywhere in the sentence?  Lengths vary."""
    rng = np.random.default_rng(0)
    rows = []
    for i in range(n):
        row = rng.integers(8, 30, rng.integers(3, 9))
        if i % 2:
            row[rng.integers(len(row))] = 7
        rows.append([1, *row.tolist(), 2])
    return Sentences.of(rows, np.arange(n) % 2)


@pytest.mark.slow
def test_it_learns_a_task_of_sentences_of_different_lengths():
    network = bert(BertSizes(30, 16, 1, 2, 32, 16), dropout=0.1, rng=1)
    network["tokens"].W[...] *= 10  # so that a few steps are enough
    optimizer = AdamW(3e-3, clip_norm=1.0, decays=is_matrix)
    *_, last = train(
        network, task(), SoftmaxCrossEntropy(), optimizer, epochs=12, batch_size=8, progress=False
    )
    assert last.train_accuracy > 0.9
    assert last.train_loss < 0.4


def test_a_run_that_was_stopped_within_an_epoch_resumes_with_the_same_batches(tmp_path):
    def run(path, last=None):
        network = bert(BertSizes(30, 8, 1, 2, 8, 16), rng=2)
        stop = threading.Event()

        def watch(epoch, step):
            if (epoch, step) == last:
                stop.set()

        optimizer = AdamW(1e-2, decays=is_matrix)
        checkpoint = Checkpoint(path, every=1, stop=stop)
        options = {"epochs": 2, "batch_size": 8, "progress": False, "watch": watch}
        for _ in train(
            network, task(37), SoftmaxCrossEntropy(), optimizer, checkpoint=checkpoint, **options
        ):
            pass
        return network.theta

    with pytest.raises(Stopped):
        run(tmp_path / "a", last=(1, 2))
    np.testing.assert_array_equal(run(tmp_path / "a"), run(tmp_path / "b"))


def test_data_that_do_not_fit_the_network_are_refused():
    network, loss = bert(BertSizes(30, 8, 1, 2, 8, 12)), SoftmaxCrossEntropy()
    sentences = task(6)
    images = Examples(np.zeros((6, 8), np.uint8), np.zeros(6, int))
    for examples, message in (
        (images, "train: expected Sentences for Embedding.*, got Examples"),
        (
            Sentences(sentences.inputs + 25 * (sentences.inputs > 0), sentences.targets),
            "expected tokens from 0 to 29",
        ),
        (Sentences(np.ones((2, 13), int), np.zeros(2, int)), r"shape \(12,\) .* or shorter, got"),
    ):
        with pytest.raises(ValueError, match=message):
            train(network, examples, loss, AdamW(decays=is_matrix), epochs=1)


# -- the pretrained one -----------------------------------------------------------------------


@functools.cache
def minilm():
    pytest.importorskip("safetensors", reason="needs safetensors to read pretrained weights")
    try:
        return pretrained(download=False)
    except Exception as error:  # noqa: BLE001  the error becomes the reason of the skip
        pytest.skip(f"no MiniLM weights: {str(error).partition(': expected')[0]}")


@pytest.mark.slow
def test_the_embedding_of_the_sentence_in_its_model_card():
    """As published: 0.0677, 0.0635, 0.0487."""
    source = minilm()
    assert source.sizes == BertSizes(30522, 384, 6, 12, 1536)
    assert bert(source.sizes).theta.size - 2 * 384 - 2 == 22_713_216
    network = load_bert(source, classes=None)
    tokens = np.array([source.tokenizer().encode("This is an example sentence")])
    assert tokens.tolist() == [[101, 2023, 2003, 2019, 2742, 6251, 102]]
    vector = sentence_embeddings(network, tokens)[0]
    np.testing.assert_allclose(vector[:3], [0.0677, 0.0635, 0.0487], rtol=0, atol=5e-5)


@pytest.mark.peer
def test_minilm_in_float64_equals_that_of_the_installed_transformers():
    pytest.importorskip("torch", reason="needs PyTorch to compare with")
    pytest.importorskip("transformers", reason="needs transformers to compare with")
    source, tokenizer = minilm(), minilm().tokenizer()
    sentences = ["this is an example sentence", "who ?", "the cat sat on the mat , purring"]
    tokens = Sentences.of([tokenizer.encode(s) for s in sentences], np.array([0, 1, 1]))
    rng = np.random.default_rng(1)
    head = {"weight": rng.normal(0, 0.05, (2, 384)), "bias": np.zeros(2)}
    arguments = (source, head, tokens.inputs, tokens.targets)
    compare(our_values(*arguments), transformers_values(*arguments))
