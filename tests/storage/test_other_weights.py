"""Files of other frameworks given to Network.load: the error says how their weights get here."""

from __future__ import annotations

import io
import pickle
import zipfile

import numpy as np
import pytest

from minidl import Dense, Network, WeightsError
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
