"""Every sentence of CoLA and SST-2, if available (in MINIDL_DATA or the user's cache)."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
from make_wordpiece import FULL, PLACE, digest, library, sentences_of

from minidl.data import DatasetNotFound, WordPiece, load_texts

GOLDEN = json.loads(PLACE.read_text("utf-8"))
pytestmark = pytest.mark.slow
each = pytest.mark.parametrize("name", ["cola", "sst-2"])


def available(name):
    try:
        return load_texts(name)
    except DatasetNotFound as error:
        pytest.skip(str(error).partition(":")[0])


def vocabulary(dataset) -> Path:
    path = Path(dataset.source).parent / FULL
    if not path.is_file():
        pytest.skip(f"no {FULL} in the folder of the GLUE data sets")
    return path


@each
def test_tokens_of_every_sentence_equal_the_golden_ones(name):
    dataset = available(name)
    tokenizer = WordPiece.of_file(vocabulary(dataset))
    assert digest(map(tokenizer.encode, sentences_of(dataset))) == GOLDEN[name]


@pytest.mark.peer
@each
def test_they_equal_those_of_the_installed_library(name):
    pytest.importorskip("tokenizers", reason="needs the library tokenizers to compare with")
    dataset = available(name)
    sentences = sentences_of(dataset)
    tokenizer = WordPiece.of_file(vocabulary(dataset))
    found = library(vocabulary(dataset)).encode_batch(sentences)
    for sentence, theirs in zip(sentences, found, strict=True):
        assert tokenizer.encode(sentence) == theirs.ids, sentence


@pytest.mark.parametrize(("name", "share"), [("cola", 0.708), ("sst-2", 0.558)])
def test_the_published_test_split_has_the_published_majority(name, share):
    """1,000 training sentences, drawn as in the published study of BERT's activation."""
    train = available(name).train
    rows = list(range(len(train)))
    random.seed(42)
    random.shuffle(rows)
    assert np.mean(train.take(rows[:1000]).labels == 1) == share


@each
def test_batches_of_similar_length_save_most_of_the_padding(name):
    dataset = available(name)
    tokens = dataset.train.tokens(WordPiece.of_file(vocabulary(dataset)))
    rng = np.random.default_rng(0)
    whole = len(tokens) // 16 * 16
    widths = {
        kind: tokens.lengths[order[:whole]].reshape(-1, 16).max(axis=1).mean()
        for kind, order in (("similar", tokens.order(rng, 16)), ("any", rng.permutation(whole)))
    }
    assert widths["similar"] < 1.01 * tokens.lengths.mean() < 0.6 * widths["any"]
