"""Snapshots on disk: whole, bounded, and refused where they are not what was written."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest

from minidl import Conv2D, Dense, Flatten, Network, SoftmaxCrossEntropy
from minidl.microscope.snapshot import LayerSnapshot, Snapshot, take_snapshot
from minidl.microscope.snapshot_file import Recorder, SnapshotError, read_snapshot, write_snapshot

RNG = np.random.default_rng(5)
LABELS = RNG.integers(0, 4, 10)
LOSS = SoftmaxCrossEntropy()


def snapshot_of(network: Network) -> Snapshot:
    x = RNG.random((10, *network.input_shape)).astype(network.dtype)
    return take_snapshot(network, LOSS, x, LABELS, epoch=7)


@pytest.fixture(scope="module")
def snapshot():
    layers = [Conv2D(3, 5, 3, activation="relu"), Flatten(), Dense(80, 4)]
    return snapshot_of(Network(layers, (3, 6, 6)))


@pytest.fixture
def path(tmp_path, snapshot):
    write_snapshot(tmp_path / "snapshot.npz", snapshot)
    return tmp_path / "snapshot.npz"


def same(one: Snapshot, other: Snapshot) -> bool:
    heads = [(x.epoch, x.examples, x.loss, x.signal, len(x.layers)) for x in (one, other)]
    return heads[0] == heads[1] and all(
        np.array_equal(getattr(a, name), getattr(b, name))
        for a, b in zip(one.layers, other.layers, strict=True)
        for name in LayerSnapshot.__dataclass_fields__
    )


def rewrite(path, change=None, **changed):
    """Write the file again with ``change`` made to its manifest, and with other arrays."""
    with np.load(path) as file:
        arrays = dict(file)
    if change is not None:
        manifest = change(json.loads(str(arrays["manifest"])))
        text = manifest if isinstance(manifest, str) else json.dumps(manifest)
        arrays["manifest"] = np.array(text)
    np.savez(path, **{k: v for k, v in (arrays | changed).items() if v is not None})


def test_what_is_read_is_what_was_written(path, snapshot):
    found = read_snapshot(path)
    assert same(found, snapshot)
    predicted = [stop.predicted is None for stop in found.signal]
    assert predicted == [True, True, False, True, True]
    with np.load(path, allow_pickle=False) as file:  # NumPy alone reads it, too
        assert np.array_equal(file["conv2d_1.W"], snapshot.layers[0].W)
        assert file["conv2d_1.W"].dtype == np.int8


# -- the recorder -----------------------------------------------------------------------------


def test_a_recorder_keeps_a_file_for_each_epoch_and_replaces_one_that_is_there(tmp_path):
    network = Network([Dense(6, 4)], 6, rng=0)
    recorder = Recorder(tmp_path / "run" / "net")
    x = RNG.random((10, 6)).astype(np.float32)
    for epoch in (0, 1, 1, 12345):
        network.theta[...] += 1
        recorder.record(network, LOSS, x, LABELS, epoch)
    files = sorted(path.name for path in (tmp_path / "run" / "net").iterdir())
    assert files == ["epoch-0000.npz", "epoch-0001.npz", "epoch-12345.npz"]
    expected = Network([Dense(6, 4)], 6, rng=0)
    expected.theta[...] += 3
    kept = read_snapshot(tmp_path / "run" / "net" / "epoch-0001.npz")
    assert kept.loss == take_snapshot(expected, LOSS, x, LABELS, 1).loss


def test_a_snapshot_before_the_first_step_removes_those_of_an_earlier_training(tmp_path):
    network = Network([Dense(6, 4)], 6)
    x, recorder = np.ones((10, 6), np.float32), Recorder(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    for epoch in (0, 1, 2, 0, 1):
        recorder.record(network, LOSS, x, LABELS, epoch)
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == ["epoch-0000.npz", "epoch-0001.npz", "notes.txt"]


def test_snapshots_are_not_kept_through_a_link(tmp_path):
    (tmp_path / "theirs").mkdir()
    (tmp_path / "net").symlink_to("theirs")
    with pytest.raises(NotADirectoryError, match="net: expected a folder, got a symbolic link"):
        Recorder(tmp_path / "net")


def test_a_snapshot_of_the_published_network_is_as_small_as_the_documentation_says(tmp_path):
    hidden = [Dense(n, 512, "sigmoid") for n in (3072, 512, 512, 512)]
    network = Network([Flatten(), *hidden, Dense(512, 100)], (3, 32, 32))
    write_snapshot(tmp_path / "snapshot.npz", snapshot_of(network))
    assert 200_000 < (tmp_path / "snapshot.npz").stat().st_size < 210_000


# -- files that are something else ------------------------------------------------------------


def test_a_file_that_ends_too_early_is_refused(path):
    whole = path.read_bytes()
    for length in range(0, len(whole), 301):
        path.write_bytes(whole[:length])
        with pytest.raises(SnapshotError):
            read_snapshot(path)


def test_a_flipped_bit_is_refused_or_changes_nothing(path, snapshot):
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for at in rng.integers(0, len(whole), 120):
        damaged = bytearray(whole)
        damaged[at] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        try:
            found = read_snapshot(path)
        except SnapshotError:
            continue
        assert same(found, snapshot)


def of_layer(**changed):
    """The manifest with another entry for its first layer."""
    return lambda found: found | {"layers": [found["layers"][0] | changed, *found["layers"][1:]]}


def of_signal(number, *stop):
    """The manifest with another stop; None stays as it is."""

    def change(found):
        kept = found["signal"][number]
        found["signal"][number] = [new or old for new, old in zip(stop, kept, strict=True)]
        return found

    return change


MANIFEST, LAYER = (
    "expected the manifest of a snapshot, version 1, got",
    "expected a layer with texts, ",
)
STOP, TEXT = "expected a stop of the signal, got", "expected a manifest in JSON .*"
MANIFESTS = [
    (lambda found: found | {"format": "minidl-network"}, MANIFEST),
    (lambda found: found | {"format": "minidl-look", "version": 2}, MANIFEST),  # of minidl 0.1
    (lambda found: found | {"version": 2}, MANIFEST),
    (lambda found: found | {"epoch": "7"}, MANIFEST),
    (lambda found: found | {"epoch": -1}, MANIFEST),
    (lambda found: found | {"epoch": 10**20}, MANIFEST),
    (lambda found: found | {"examples": 0}, MANIFEST),
    (lambda found: found | {"signal": 3}, MANIFEST),
    (lambda found: found | {"signal": []}, MANIFEST),
    (lambda found: found | {"layers": []}, MANIFEST),
    (lambda found: found | {"layers": [[]] * 1001}, MANIFEST),
    (lambda found: found | {"layers": [7]}, LAYER + "units and shape, got 7"),
    (lambda found: found | {"layers": found["layers"][:1] * 2}, LAYER),
    (of_layer(units=0), LAYER),
    (of_layer(units=10**9), LAYER),
    (of_layer(units=2.0), LAYER),
    (of_layer(shape=[3, 3, 10**12]), LAYER),
    (of_layer(shape=[1 << 13, 1 << 13]), LAYER),
    (of_layer(shape=[-3, -3, 3]), LAYER),
    (of_layer(texts=["conv2d_1"] * 4), LAYER),
    (of_layer(texts=[1, 2, 3, 4, 5]), LAYER),
    (of_layer(texts=["\ud800"] * 5), TEXT + "surrogates not allowed"),
    (lambda found: found | {"signal": [["a", "b", "c"]] * 5}, STOP),
    (of_signal(0, None, "slope", None), STOP),  # it begins at the loss, and is there only once
    (of_signal(1, None, "loss", None), STOP),
    (of_signal(1, "\udfff", None, None), TEXT + "surrogates not allowed"),
    (lambda found: "", TEXT),
    (lambda found: "{", TEXT),
    (lambda found: "[" * 100_000, TEXT),
    (lambda found: "null", MANIFEST),
]


@pytest.mark.parametrize(("change", "message"), MANIFESTS)
def test_a_manifest_that_says_something_else_is_refused(path, change, message):
    rewrite(path, change)
    with pytest.raises(SnapshotError, match=message) as caught:
        read_snapshot(path)
    said = str(caught.value)
    assert said.startswith(f"{path}: expected a snapshot as --record writes it: ")
    assert said.endswith("; delete it, or run the experiment again with --record --fresh")
    assert "\n" not in said


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("conv2d_1.W", np.zeros((5, 3, 3, 3)), "expected conv2d_1.W as int8"),
        ("conv2d_1.W", np.zeros((5, 3, 3, 2), np.int8), "expected conv2d_1.W as int8"),
        ("conv2d_1.W", np.array([None], object), "expected conv2d_1.W as int8"),
        ("conv2d_1.shown", np.array([0, 1, 2, 3, 9], np.int32), "evenly spread"),
        ("norms", np.zeros(3), "expected norms as float64"),
        ("dense_1.db", None, r"expected an array dense_1\.db in it, found none"),
    ],
)
def test_an_array_of_another_kind_or_none_is_refused(path, name, array, message):
    rewrite(path, **{name: array})
    with pytest.raises(SnapshotError, match=message):
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
    with pytest.raises(SnapshotError, match="expected a plain file, got a folder; delete it"):
        read_snapshot(tmp_path)
    with pytest.raises(FileNotFoundError):
        read_snapshot(tmp_path / "none.npz")
