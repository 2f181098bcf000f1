"""Files of other frameworks given to Network.load, and of other versions.

The error says how the weights of other frameworks get here.
"""

from __future__ import annotations

import io
import json
import pickle
import zipfile

import numpy as np
import pytest

from minidl import ActivationLayer, Dense, Network, Sequential, WeightsError
from minidl.storage import tensors


def of_pytorch() -> bytes:
    """What torch.save writes since version 1.6 begins like this."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("model/data.pkl", b"")
    return held.getvalue()


def test_the_way_from_pytorch_is_named(tmp_path):
    network = Network([Dense(2, 3)], 2)
    path = tmp_path / "w"
    for content in (of_pytorch(), pickle.dumps({}, 2)):
        path.write_bytes(content)
        with pytest.raises(WeightsError, match=r"w: .*, got a PyTorch file; in PyTorch, safeten"):
            network.load(path)
    with pytest.raises(WeightsError, match=r"path of a weights file, got dict; in PyTorch, safe"):
        network.load({"W": np.zeros((2, 3))})
    tensors.save(path, {"W": np.zeros((2, 3), np.float32)})
    with pytest.raises(
        WeightsError, match=r"got a safetensors file; minidl.models.load_torchvision"
    ):
        network.load(path)


def test_the_way_to_a_safetensors_file_is_named(tmp_path):
    path = tmp_path / "w"
    path.write_bytes(of_pytorch())
    with pytest.raises(WeightsError, match=r"safetensors file, got a PyTorch file; in PyTorch, s"):
        tensors.load(path, {}, np.dtype("float32"))
    Network([Dense(2, 3)], 2).save(path)
    with pytest.raises(WeightsError, match=r"got a minidl file; Network.load reads those"):
        tensors.load(path, {}, np.dtype("float32"))


@pytest.mark.peer
def test_what_torch_saves_is_told_as_such(tmp_path):
    torch = pytest.importorskip("torch", reason="needs PyTorch, whose files it saves")
    for is_new in (True, False):
        state = torch.nn.Linear(2, 3).state_dict()
        torch.save(state, tmp_path / "w.pt", _use_new_zipfile_serialization=is_new)
        with pytest.raises(WeightsError, match="got a PyTorch file"):
            Network([Dense(2, 3)], 2).load(tmp_path / "w.pt")
    with pytest.raises(WeightsError, match="path of a weights file, got OrderedDict; in PyTorch"):
        Network([Dense(2, 3)], 2).load(state)


def test_version_0_2_had_other_names(tmp_path):
    """As that version wrote it for Chain([Dense(2, 3)]) and Activate("tanh")."""
    rng = np.random.default_rng(0)
    W, b = rng.standard_normal((2, 3)), rng.standard_normal(3)
    layers = [
        ["chain_1.dense_1", "Dense(2 -> 3)", {"W": [2, 3], "b": [3]}],
        ["chain_1", "Chain(Dense(2 -> 3))", {}],
        ["activate_1", "Activate(tanh)", {}],
    ]
    manifest = json.dumps({"format": "minidl-network", "version": 1, "layers": layers})
    arrays = {"chain_1.dense_1.W": W, "chain_1.dense_1.b": b}
    np.savez(tmp_path / "w.npz", **arrays, manifest=np.array(manifest))

    network = Network([Sequential([Dense(2, 3)]), ActivationLayer("tanh")], 2, dtype="float64")
    network.load(tmp_path / "w.npz")
    np.testing.assert_array_equal(network.theta, [*W.ravel(), *b])
    other = Network([Sequential([Dense(2, 3)]), ActivationLayer("relu")], 2)
    with pytest.raises(WeightsError, match="weights of another network"):
        other.load(tmp_path / "w.npz")
