"""WordPiece: against the library ``tokenizers``, by hand, and what is refused."""

from __future__ import annotations

import json

import pytest
from make_wordpiece import PLACE, SENTENCES, VOCABULARY, library

from minidl.data import WordPiece

GOLDEN = json.loads(PLACE.read_text("utf-8"))


def test_tokens_equal_the_golden_ones():
    tokenizer = WordPiece(VOCABULARY)
    for sentence, golden in zip(SENTENCES, GOLDEN["tokens"], strict=True):
        assert tokenizer.encode(sentence) == golden, sentence
    used = {number for row in GOLDEN["tokens"] for number in row}
    assert len(used) > 60


@pytest.mark.peer
def test_they_equal_those_of_the_installed_library(tmp_path):
    pytest.importorskip("tokenizers", reason="needs the library tokenizers to compare with")
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join(VOCABULARY) + "\n", "utf-8")
    theirs, ours = library(path), WordPiece.of_file(path)
    for sentence in SENTENCES:
        if "[" not in sentence:  # here, "[SEP]" in a sentence is text
            assert ours.encode(sentence) == theirs.encode(sentence).ids, sentence


def test_by_hand():
    tokenizer = WordPiece(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "un", "##aff", "##able", "a", "!"])
    assert tokenizer.tokens("Unaffable!") == ["[CLS]", "un", "##aff", "##able", "!", "[SEP]"]
    assert tokenizer.tokens("unaffabl a") == ["[CLS]", "[UNK]", "a", "[SEP]"]
    assert tokenizer.encode("a a a a", longest=4) == [2, 7, 7, 3]
    assert tokenizer.encode("unaffable", longest=3) == [2, 4, 3]
    assert tokenizer.padding == 0


REFUSED = [
    (lambda: WordPiece("the a"), "vocabulary to be a list of tokens, got 'the a'"),
    (lambda: WordPiece(["the"]), r"expected \[PAD\], \[UNK\], \[CLS\], \[SEP\] in the voc"),
    (lambda: WordPiece(VOCABULARY).encode(b"the"), "a sentence as text, got b'the'"),
    (lambda: WordPiece(VOCABULARY).encode("the", 1), "longest to be an integer >= 2, got 1"),
]


def test_what_is_refused():
    for call, message in REFUSED:
        with pytest.raises(ValueError, match=message):
            call()


def test_a_file_that_is_not_a_vocabulary(tmp_path):
    path = tmp_path / "vocab.txt"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match=r"vocab.txt: expected a vocabulary in UTF-8"):
        WordPiece.of_file(path)
    path.write_text("the\n")
    with pytest.raises(ValueError, match=r"vocab.txt: WordPiece: expected \[PAD\]"):
        WordPiece.of_file(path)
