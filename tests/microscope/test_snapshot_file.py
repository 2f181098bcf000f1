"""Snapshots on disk: whole, bounded, and refused where they are not what was written."""

from __future__ import annotations

import json
import os
import zipfile

import numpy as np
import pytest

from minidl import Conv2D, Dense, Flatten, Network, Residual, SoftmaxCrossEntropy
from minidl.microscope.__main__ import main
from minidl.microscope.snapshot import LayerSnapshot, Snapshot, take_snapshot
from minidl.microscope.snapshot_file import Recorder, SnapshotError, read_snapshot, write_snapshot

RNG = np.random.default_rng(5)
LABELS = RNG.integers(0, 4, 10)


def snapshot_of(network: Network) -> Snapshot:
    x = RNG.random((10, *network.input_shape)).astype(network.dtype)
    return take_snapshot(network, SoftmaxCrossEntropy(), x, LABELS, epoch=7)


@pytest.fixture(scope="module")
def snapshot():
    layers = [Conv2D(3, 5, 3, activation="relu"), Flatten(), Dense(80, 4)]
    return snapshot_of(Network(layers, (3, 6, 6)))


@pytest.fixture
def path(tmp_path, snapshot):
    write_snapshot(tmp_path / "snapshot.npz", snapshot)
    return tmp_path / "snapshot.npz"


def same(one: Snapshot, other: Snapshot) -> bool:
    names = [name for name in LayerSnapshot.__dataclass_fields__ if name != "W"]
    heads = [(x.epoch, x.examples, x.loss, x.signal, len(x.layers)) for x in (one, other)]
    return heads[0] == heads[1] and all(
        np.array_equal(getattr(a, name), getattr(b, name)) and np.array_equal(a.W, b.W)
        for a, b in zip(one.layers, other.layers, strict=True)
        for name in names
    )


def rewritten(path, **changes):
    """The file with other arrays; a manifest is given as what it says."""
    with np.load(path) as file:
        arrays = dict(file)
    if "manifest" in changes:
        text = changes["manifest"]
        changes["manifest"] = np.array(text if isinstance(text, str) else json.dumps(text))
    with open(path, "wb") as file:
        np.savez(file, **{**arrays, **changes})


def manifest(path):
    with np.load(path) as file:
        return json.loads(str(file["manifest"]))


def test_what_is_read_is_what_was_written(path, snapshot):
    assert same(read_snapshot(path), snapshot)


def test_a_factor_that_is_not_predicted_is_none(path, snapshot):
    predicted = [stop.predicted for stop in read_snapshot(path).signal]
    assert [factor is None for factor in predicted] == [True, True, False, True, True]
    assert predicted == [stop.predicted for stop in snapshot.signal]


def test_a_file_of_an_earlier_minidl_is_refused_with_the_way_out(tmp_path, snapshot):
    path = tmp_path / "run/microscope/net/epoch-0000.npz"
    path.parent.mkdir(parents=True)
    write_snapshot(path, snapshot)
    rewritten(path, manifest=manifest(path) | {"format": "minidl-look", "version": 2})
    with pytest.raises(SystemExit) as stopped:
        main([str(tmp_path / "run"), "--export", str(tmp_path / "page.html")])
    said = stopped.value.code
    assert said.startswith(f"microscope: {path}: expected a snapshot as --record writes it: ")
    assert "expected the manifest of a snapshot, version 1, got {'format': 'minidl-look'" in said
    assert said.endswith("; delete it, or run the experiment again with --record --fresh")
    assert "\n" not in said


def test_numpy_reads_it_alone(path, snapshot):
    with np.load(path, allow_pickle=False) as file:
        assert np.array_equal(file["conv2d_1.W"], snapshot.layers[0].W)
        assert file["conv2d_1.W"].dtype == np.int8


def test_a_recorder_keeps_a_file_for_each_epoch_and_replaces_one_that_is_there(tmp_path):
    network = Network([Dense(6, 4)], 6, rng=0)
    recorder = Recorder(tmp_path / "run" / "net")
    x = RNG.random((10, 6)).astype(np.float32)
    for epoch in (0, 1, 1, 12345):
        network.theta[...] += 1
        recorder.record(network, SoftmaxCrossEntropy(), x, LABELS, epoch)
    files = sorted(path.name for path in (tmp_path / "run" / "net").iterdir())
    assert files == ["epoch-0000.npz", "epoch-0001.npz", "epoch-12345.npz"]
    kept = read_snapshot(tmp_path / "run" / "net" / "epoch-0001.npz")
    expected = Network([Dense(6, 4)], 6, rng=0)
    expected.theta[...] += 3
    assert kept.loss == take_snapshot(expected, SoftmaxCrossEntropy(), x, LABELS, 1).loss


def test_a_snapshot_before_the_first_step_removes_those_of_an_earlier_training(tmp_path):
    network = Network([Dense(6, 4)], 6)
    x, recorder = np.ones((10, 6), np.float32), Recorder(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    for epoch in (0, 1, 2, 0, 1):
        recorder.record(network, SoftmaxCrossEntropy(), x, LABELS, epoch)
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == ["epoch-0000.npz", "epoch-0001.npz", "notes.txt"]


def test_a_snapshot_of_the_published_network_is_as_small_as_the_documentation_says(tmp_path):
    sizes = (3072, 512, 512, 512)
    hidden = [Dense(n, 512, "sigmoid") for n in sizes]
    network = Network([Flatten(), *hidden, Dense(512, 100)], (3, 32, 32))
    write_snapshot(tmp_path / "snapshot.npz", snapshot_of(network))
    assert 200_000 < (tmp_path / "snapshot.npz").stat().st_size < 210_000


def test_a_file_that_ends_too_early_is_refused(path):
    whole = path.read_bytes()
    for length in range(0, len(whole), 97):
        path.write_bytes(whole[:length])
        with pytest.raises(SnapshotError):
            read_snapshot(path)


def test_a_flipped_bit_is_refused_or_changes_nothing(path, snapshot):
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for at in rng.integers(0, len(whole), 400):
        damaged = bytearray(whole)
        damaged[at] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        try:
            found = read_snapshot(path)
        except SnapshotError:
            continue
        assert same(found, snapshot)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "minidl-network"}, "expected the manifest of a snapshot, version 1, got"),
        ({"version": 2}, "expected the manifest of a snapshot, version 1, got"),
        ({"epoch": "7"}, "expected the manifest of a snapshot"),
        ({"signal": 3}, "expected the manifest of a snapshot"),
        ({"layers": [[]] * 1001}, "expected the manifest of a snapshot"),
        ({"layers": []}, "expected the manifest of a snapshot"),
        ({"signal": []}, "expected the manifest of a snapshot"),
        ({"epoch": -1}, "expected the manifest of a snapshot"),
        ({"epoch": 10**20}, "expected the manifest of a snapshot"),
        ({"layers": [7]}, "expected a layer with texts, units and shape, got 7"),
        ({"signal": [["a", "b", "c"]] * 5}, "expected a stop of the signal"),
    ],
)
def test_a_manifest_that_says_something_else_is_refused(path, change, message):
    rewritten(path, manifest={**manifest(path), **change})
    with pytest.raises(SnapshotError, match=message) as caught:
        read_snapshot(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "entry",
    [
        {"units": 0},
        {"units": 10**9},
        {"units": 2.0},
        {"shape": [3, 3, 10**12]},
        {"shape": [1 << 13, 1 << 13]},
        {"shape": [-3, -3, 3]},
        {"texts": ["conv2d_1"] * 4},
        {"texts": [1, 2, 3, 4, 5]},
    ],
)
def test_a_layer_of_another_size_is_refused_before_room_is_made_for_it(path, entry):
    found = manifest(path)
    found["layers"][0] |= entry
    rewritten(path, manifest=found)
    with pytest.raises(SnapshotError, match="expected a layer with texts, units and shape"):
        read_snapshot(path)


def test_a_layer_that_comes_twice_is_refused(path):
    found = manifest(path)
    rewritten(path, manifest={**found, "layers": found["layers"][:1] * 2})
    with pytest.raises(SnapshotError, match="expected a layer with texts, units and shape"):
        read_snapshot(path)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "null"])
def test_a_manifest_that_is_no_json_is_refused(path, text):
    rewritten(path, manifest=text)
    with pytest.raises(SnapshotError):
        read_snapshot(path)


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("conv2d_1.W", np.zeros((5, 3, 3, 3)), "expected conv2d_1.W as int8"),
        ("conv2d_1.W", np.zeros((5, 3, 3, 2), np.int8), "expected conv2d_1.W as int8"),
        ("conv2d_1.W", np.array([None], object), "expected conv2d_1.W as int8"),
        ("conv2d_1.shown", np.array([0, 1, 2, 3, 9], np.int32), "evenly spread"),
        ("norms", np.zeros(3), "expected norms as float64"),
    ],
)
def test_an_array_of_another_kind_is_refused(path, name, array, message):
    rewritten(path, **{name: array})
    with pytest.raises(SnapshotError, match=message):
        read_snapshot(path)


def test_an_array_that_is_missing_is_named(path):
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files if name != "dense_1.db"}
    np.savez(path, **arrays)
    with pytest.raises(SnapshotError, match=r"expected an array dense_1\.db in it, found none"):
        read_snapshot(path)


def test_other_files_are_refused(tmp_path):
    text = tmp_path / "a.npz"
    text.write_text("hello")
    with pytest.raises(SnapshotError):
        read_snapshot(text)
    with zipfile.ZipFile(text, "w") as archive:
        archive.writestr("notes.txt", "hello")
    with pytest.raises(SnapshotError, match="expected an array manifest in it, found none"):
        read_snapshot(text)
    with pytest.raises(FileNotFoundError):
        read_snapshot(tmp_path / "none.npz")


def test_a_snapshot_of_a_network_with_one_stop_alone_makes_a_page(tmp_path):
    """A residual block that comes first keeps its signal to itself."""
    folder = tmp_path / "run/microscope/net"
    folder.mkdir(parents=True)
    one = snapshot_of(Network([Residual([Dense(4, 4)])], 4))
    assert len(one.signal) == 1
    write_snapshot(folder / "epoch-0000.npz", one)
    main([str(tmp_path / "run"), "--export", str(tmp_path / "page.html")])
    assert "Layer by layer" in (tmp_path / "page.html").read_text("utf-8")


@pytest.mark.parametrize("where", ["text", "stop"])
def test_half_a_character_is_refused(where, path):
    known = manifest(path)
    if where == "text":
        known["layers"][0]["texts"][1] = "\ud800"
    else:
        known["signal"][1][0] = "\udfff"
    rewritten(path, manifest=known)
    message = r"expected a manifest in JSON .*surrogates not allowed"
    with pytest.raises(SnapshotError, match=message):
        read_snapshot(path)


@pytest.mark.parametrize(("number", "through"), [(0, "slope"), (1, "loss"), (1, "nothing")])
def test_the_signal_begins_at_the_loss_and_nowhere_else(number, through, path):
    known = manifest(path)
    known["signal"][number][1] = through
    rewritten(path, manifest=known)
    with pytest.raises(SnapshotError, match="expected a stop of the signal, got"):
        read_snapshot(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_in_the_place_of_a_snapshot_is_not_waited_for(tmp_path, capsys):
    folder = tmp_path / "microscope/net"
    folder.mkdir(parents=True)
    os.mkfifo(folder / "epoch-0000.npz")
    with pytest.raises(SystemExit, match=r"epoch-0000\.npz: expected a plain file, got a pipe"):
        main([str(tmp_path), "--export", str(tmp_path / "page.html")])


def test_snapshots_are_not_kept_through_a_link(tmp_path):
    (tmp_path / "theirs").mkdir()
    (tmp_path / "net").symlink_to("theirs")
    with pytest.raises(NotADirectoryError, match="net: expected a folder, got a symbolic link"):
        Recorder(tmp_path / "net")
