"""Weights under torchvision's names: bit for bit both ways, and mismatches are named."""

from __future__ import annotations

import builtins
import json
import re

import numpy as np
import pytest
import safetensors.numpy
from safetensors.numpy import load_file, save_file

from minidl import Dense, Network, PReLU, WeightsError
from minidl.backend import to_numpy
from minidl.models import load_torchvision, resnet18, resnet50, save_torchvision


def small(make=resnet50, classes=10, **options):
    return make(classes, **{"width": 1 / 64, "size": 16, **options})


def trained(**options) -> Network:
    """A network in which no number has its initial value."""
    network = small(**options)
    rng = np.random.default_rng(3)
    for vector in (network.theta, network.state):
        values = rng.standard_normal(vector.size)
        vector[...] = network.device.asarray(values, network.dtype)
    return network


def test_saving_and_loading_keeps_every_bit(device, tmp_path):
    network = trained(device=device)
    save_torchvision(network, tmp_path / "w.safetensors")
    other = small(rng=1)
    load_torchvision(other, tmp_path / "w.safetensors")
    assert other.theta.tobytes() == to_numpy(network.theta).tobytes()
    assert other.state.tobytes() == to_numpy(network.state).tobytes()
    save_torchvision(other, tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == (
        tmp_path / "w.safetensors"
    ).read_bytes()


def test_names_and_arrays_are_those_of_torchvision(tmp_path):
    network = trained()
    save_torchvision(network, tmp_path / "w.safetensors")
    found = load_file(tmp_path / "w.safetensors")
    assert len(found) == 161 + 106 + 53
    expected = {
        "conv1.weight": network["stem.conv"].W,
        "bn1.running_var": network["stem.norm"].running_variance,
        "layer1.0.conv1.weight": network["stage_1.block_1.conv_1"].W,
        "layer3.5.bn3.weight": network["stage_3.block_6.norm_3"].gamma,
        "layer3.5.bn3.bias": network["stage_3.block_6.norm_3"].beta,
        "layer2.0.downsample.0.weight": network["stage_2.block_1.shortcut.conv"].W,
        "layer2.0.downsample.1.running_mean": network["stage_2.block_1.shortcut.norm"].running_mean,
        "fc.weight": network["head"].W.T,
        "fc.bias": network["head"].b,
    }
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)
    count = found["layer2.0.downsample.1.num_batches_tracked"]
    assert (count.dtype, count.shape, int(count)) == (np.int64, (), 0)


def test_a_float64_network_and_a_file_without_batch_counts(tmp_path):
    network, double = trained(), small(dtype="float64")
    save_torchvision(network, tmp_path / "w")
    arrays = load_file(tmp_path / "w")
    save_file({n: a for n, a in arrays.items() if "num_batches" not in n}, tmp_path / "less")
    for name in ("w", "less"):
        load_torchvision(double, tmp_path / name)
        np.testing.assert_array_equal(double.theta, network.theta.astype(float))
        double.theta[...] = 0


def changed(name, change):
    """The arrays, of which one has become another one, or none."""

    def make(arrays):
        found = arrays | {name: change(arrays.get(name))}
        return {name: array for name, array in found.items() if array is not None}

    return make


W = np.zeros((8, 32), np.float32)
CONVERT = "convert the file, or build the network with dtype='float64'"
REFUSED = [
    (
        changed("fc.bias", lambda b: None),
        "expected fc.bias in it, found none: it has the weights of another network",
    ),
    (changed("fc.extra", lambda _: W), "got fc.extra, which the network does not have"),
    (changed("\x1b[2J\n", lambda _: W), r"got \x1b[2J\n, which the network does not have"),
    (changed("fc.weight", lambda _: W), "expected fc.weight of shape (10, 32), got (8, 32)"),
    (
        changed("fc.weight", lambda W: W.T.copy()),
        "expected fc.weight of shape (10, 32), got (32, 10)",
    ),
    (
        changed("fc.bias", lambda b: b.astype(np.float16)),
        f"expected fc.bias of a type that float32 can represent exactly, got F16; {CONVERT}",
    ),
    (
        changed("bn1.bias", lambda b: b.astype(float)),
        f"expected bn1.bias of a type that float32 can represent exactly, got F64; {CONVERT}",
    ),
    (
        changed("fc.bias", lambda b: b.astype(np.int32)),
        "expected fc.bias of a type that float32 can represent exactly, got I32",
    ),
]


def test_a_mismatch_is_named_and_changes_nothing(tmp_path):
    path, network = tmp_path / "w.safetensors", small(rng=7)
    save_torchvision(trained(), path)
    arrays = load_file(path)
    before = network.theta.tobytes(), network.state.tobytes()
    for changed, message in REFUSED:
        save_file(changed(arrays), path)
        with pytest.raises(WeightsError, match=re.escape(f"{path}: {message}")):
            load_torchvision(network, path)
        assert (network.theta.tobytes(), network.state.tobytes()) == before


def test_weights_of_another_depth_are_refused(tmp_path):
    save_torchvision(small(resnet18), tmp_path / "w")
    with pytest.raises(WeightsError, match=r"expected layer1.0.bn3.bias and \d+ more in it"):
        load_torchvision(small(resnet50), tmp_path / "w")


def _header(text, size=None):
    return (len(text) if size is None else size).to_bytes(8, "little") + text


TABLE = json.dumps({"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}})
DAMAGED = [
    b"PK\x03\x04 is a zip archive",
    _header(b"{}", 2**62),  # a header without end
    _header(b"\xff\xfe{}"),  # no text
    _header(b'{"fc.bias": "no"}'),  # no table
    _header(TABLE.encode()),
]


def test_damaged_and_truncated_files_are_refused(tmp_path):
    network, path = small(), tmp_path / "w.safetensors"
    save_torchvision(network, path)
    whole = path.read_bytes()
    cut = [whole[:n] for n in (0, 7, 8, 100, len(whole) // 2, len(whole) - 1)]
    expected = r"expected a complete safetensors file: .*; use another copy"
    for contents in (*DAMAGED, *cut):
        path.write_bytes(contents)
        with pytest.raises(WeightsError, match=expected):
            load_torchvision(network, path)


def test_a_network_of_other_layers_has_no_such_names(tmp_path):
    network = Network([Dense(3, 2)], 3)
    for call in (save_torchvision, load_torchvision):
        with pytest.raises(
            ValueError, match=r"residual network of minidl\.models, got one with dense_1.W"
        ):
            call(network, tmp_path / "w")
        with pytest.raises(ValueError, match="expected network of the class Network"):
            call(Dense(3, 2), tmp_path / "w")
    with pytest.raises(ValueError, match=r"got one with head\.alpha"):
        save_torchvision(Network({"head": PReLU(3)}, 3), tmp_path / "w")
    assert not list(tmp_path.iterdir())


def test_a_failure_leaves_the_earlier_file(tmp_path, monkeypatch):
    path = tmp_path / "w.safetensors"
    path.write_bytes(b"before")

    def fail(_):
        raise OSError("no room")

    monkeypatch.setattr(safetensors.numpy, "save", fail)
    with pytest.raises(OSError, match="no room"):
        save_torchvision(small(), path)
    assert path.read_bytes() == b"before"


def test_without_the_package_the_error_says_how_to_install_it(tmp_path, monkeypatch):
    found = builtins.__import__

    def without(name, *arguments, **options):
        if name.startswith("safetensors"):
            raise ModuleNotFoundError(f"No module named {name!r}")
        return found(name, *arguments, **options)

    network = small()
    monkeypatch.setattr(builtins, "__import__", without)
    for call in (save_torchvision, load_torchvision):
        with pytest.raises(ImportError, match=r"pip install 'minidl\[weights\]'"):
            call(network, tmp_path / "w")


# -- torchvision itself -----------------------------------------------------------------------


@pytest.mark.peer
@pytest.mark.parametrize(("name", "make"), [("resnet18", resnet18), ("resnet50", resnet50)])
def test_the_file_is_the_one_that_torch_writes_for_torchvisions_network(name, make, tmp_path):
    torchvision = pytest.importorskip("torchvision", reason="needs torchvision to compare with")
    import torch
    from safetensors.torch import load_file as load_tensors
    from safetensors.torch import save_file as save_tensors

    torch.manual_seed(5)
    theirs = getattr(torchvision.models, name)()
    for module in theirs.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(module.running_mean)
            torch.nn.init.uniform_(module.running_var, 0.5, 2)
    path, again = tmp_path / "theirs", tmp_path / "ours"
    save_tensors(theirs.state_dict(), path)
    network = make(1000, size=64, rng=1)
    load_torchvision(network, path)
    save_torchvision(network, again)
    assert again.read_bytes() == path.read_bytes()
    fresh = getattr(torchvision.models, name)()
    assert str(fresh.load_state_dict(load_tensors(again))) == "<All keys matched successfully>"
    x = np.random.default_rng(0).standard_normal((2, 3, 64, 64), np.float32)
    with torch.no_grad():
        expected = fresh.eval()(torch.tensor(x)).numpy()
    np.testing.assert_allclose(network.predict(x), expected, atol=1e-4 * np.abs(expected).max())
