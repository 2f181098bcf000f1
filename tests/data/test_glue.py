"""CoLA and SST-2: valid files are read, anything else is refused with the line at fault."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from minidl.data import (
    CorruptDataset,
    DatasetError,
    DatasetNotFound,
    Sentences,
    WordPiece,
    glue,
    load_texts,
)

COLA = ["gj04\t1\t\tThe sailors rode the breeze.", "gj04\t0\t*\tThem sailors “rode”.  "]
SST_2 = ["sentence\tlabel", "a charming journey \t1", "bleak and desperate\t0"]


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Files of two sentences, the first or the second of label 1."""
    for name, task in glue.TASKS.items():
        files = (replace(file, count=2, ones=1) for file in (task.train, task.dev))
        train, dev = files
        monkeypatch.setitem(glue.TASKS, name, replace(task, train=train, dev=dev))


def write(folder, name, lines, newline="\n"):
    task = glue.TASKS[name]
    folder.mkdir(parents=True, exist_ok=True)
    for file in (task.train.name, task.dev.name):
        (folder / file).write_bytes((newline.join(lines) + newline).encode())


def test_cola(tmp_path):
    for number, folder in enumerate(("glue/CoLA", "CoLA", "cola_public/raw", ".")):
        data = tmp_path / str(number)
        write(data / folder, "cola", COLA)
        found = load_texts("cola", data)
        assert found.train.sentences == ("The sailors rode the breeze.", "Them sailors “rode”.")
        assert found.dev.labels.tolist() == [1, 0]
        assert found.classes == ("unacceptable", "acceptable")
        assert found.source == str(data / folder)


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_sst_2(newline, tmp_path):
    write(tmp_path / "SST-2", "sst-2", SST_2, newline)
    found = load_texts("sst-2", tmp_path).train
    assert found.sentences == ("a charming journey", "bleak and desperate")
    assert found.labels.tolist() == [1, 0]
    assert len(found) == 2
    assert found.take([1, 0]).sentences == found.sentences[::-1]
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "and", "bleak"]
    tokens = found.tokens(WordPiece(vocabulary))
    assert isinstance(tokens, Sentences)
    np.testing.assert_array_equal(tokens.inputs, [[2, 4, 1, 1, 3], [2, 6, 5, 1, 3]])


OTHERS = [
    ([*SST_2[:2], "no label"], "line 3: expected 2 columns, got 1"),
    ([*SST_2[:2], "two\t1\t0"], "line 3: expected 2 columns, got 3"),
    ([*SST_2[:2], "three\t2"], r"line 3: expected a sentence and a label 0 or 1, got 'three"),
    ([*SST_2[:2], " \t0"], "line 3: expected a sentence"),
    ([*SST_2[:2], "praise\t1"], "expected 1 sentences of label 1, got 2; get it again"),
    (SST_2[:2], "expected 2 sentences, got 1; get it again from https"),
    ([*SST_2, ""], "expected 2 sentences, got 3"),
    (SST_2[1:], r"line 1: expected 'sentence\\tlabel', got 'a charming"),
    ([""], r"line 1: expected 'sentence\\tlabel', got ''"),
]


def test_other_files_are_refused(tmp_path):
    for lines, message in OTHERS:
        write(tmp_path, "sst-2", lines)
        with pytest.raises(CorruptDataset, match=message):
            load_texts("sst-2", tmp_path)


def test_anything_but_text_is_refused(tmp_path, monkeypatch):
    write(tmp_path, "cola", COLA)
    (tmp_path / "in_domain_train.tsv").write_bytes(b"\xff\n")
    with pytest.raises(CorruptDataset, match="expected text in UTF-8"):
        load_texts("cola", tmp_path)
    monkeypatch.setattr(glue, "LARGEST", 1)
    with pytest.raises(CorruptDataset, match="expected at most 1 bytes, got more"):
        load_texts("cola", tmp_path)


def test_an_error_for_a_missing_file_says_what_to_do(tmp_path):
    with pytest.raises(
        DatasetNotFound, match=r"CoLA is not in .*: expected in_domain_train.tsv"
    ) as e:
        load_texts("cola", tmp_path)
    assert "https://nyu-mll.github.io/CoLA" in str(e.value)
    assert "--data-dir" in str(e.value)
    write(tmp_path / "mine" / "CoLA", "cola", COLA)
    with pytest.raises(DatasetNotFound, match=f"CoLA has them: name {tmp_path / 'mine'}; get it"):
        load_texts("cola", tmp_path)
    with pytest.raises(DatasetError, match="unknown data set 'mrpc'; expected one of cola, sst-2"):
        load_texts("mrpc")
