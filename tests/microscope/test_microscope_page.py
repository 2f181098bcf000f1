"""The data of the page are those of the snapshots, and the page stays small and safe."""

from __future__ import annotations

import base64
import json
import math
import re
import shutil
import zlib
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from minidl import Dense, Network, Residual, SoftmaxCrossEntropy
from minidl.microscope import __main__ as microscope
from minidl.microscope.__main__ import main
from minidl.microscope.backward_signal import factors
from minidl.microscope.page import (
    answer,
    microscope_page,
    network_colours,
    theory_charts,
    title_of,
)
from minidl.microscope.parts import SnapshotsPart
from minidl.microscope.run import NetworkSnapshots, snapshots_of
from minidl.microscope.snapshot import take_snapshot
from minidl.microscope.snapshot_file import SnapshotError, read_snapshot, write_snapshot
from minidl.pages.colours import PALETTE, function_colour


def data_of(part: SnapshotsPart):
    """The contents of the JSON of the page."""
    text = re.search(r'<script type="application/json">(.*?)</script>', part.html(), re.DOTALL)[1]
    return json.loads(text)


def unpacked(snapshot):
    return json.loads(zlib.decompress(base64.b64decode(snapshot["packed"])))


def test_the_page_has_every_number_of_the_snapshots(small_run):
    data = data_of(SnapshotsPart(snapshots_of(small_run), math.inf))
    assert [network["name"] for network in data["networks"]] == ["relu", "sigmoid"]
    for network in data["networks"]:
        assert [snapshot["epoch"] for snapshot in network["snapshots"]] == [0, 1, 2]
        for shown in network["snapshots"]:
            path = small_run / "microscope" / network["name"] / f"epoch-{shown['epoch']:04}.npz"
            snapshot = read_snapshot(path)
            assert shown["loss"] == snapshot.loss
            assert [stop["norm"] for stop in shown["signal"]] == [s.norm for s in snapshot.signal]
            assert [stop["factor"] for stop in shown["signal"]][1:] == factors(snapshot.signal)
            assert [stop["predicted"] for stop in shown["signal"]] == [
                stop.predicted for stop in snapshot.signal
            ]
            for found, layer in zip(unpacked(shown)["layers"], snapshot.layers, strict=True):
                W, dW = (
                    np.frombuffer(base64.b64decode(found[key]), np.int8) for key in ("W", "dW")
                )
                assert np.array_equal(W, layer.W.ravel())
                assert np.array_equal(dW, layer.dW.ravel())
                assert np.array_equal(np.float32(found["WScale"]), layer.W_scale)
                assert np.array_equal(np.float32(found["slope"]), layer.slope)
                assert found["z"] == layer.z_counts.tolist()
                assert found["y"] == layer.y_counts.tolist()
                assert found["gradients"] == layer.dW_counts.tolist()
                assert found["shown"] == layer.shown.tolist()
                curves = np.float32(data["curves"][layer.activation])
                assert np.array_equal(curves, layer.curve)


def test_predicted_factors_are_drawn_beside_the_measured_ones(small_run):
    networks = snapshots_of(small_run)
    (chart,) = theory_charts(networks)
    assert [dict(s.where) for s in chart.series[:1]] == [
        {"epoch": "0", "factor of": "the slopes f′(z)"}
    ]
    relu = {s.name: s for s in chart.series if s.where["epoch"] == "2" and s.panel == "relu"}
    snapshot = networks[0].snapshots[-1]
    weights = [stop for stop in snapshot.signal if stop.through == "weights"]
    assert relu["relu, predicted"].x == ["dense_2", "dense_3"]  # dense_1 hands nothing on
    assert relu["relu, predicted"].y == [stop.predicted for stop in reversed(weights)]
    by = dict(zip(snapshot.signal[1:], factors(snapshot.signal), strict=True))
    assert relu["relu, measured"].y == [by[stop] for stop in reversed(weights)]
    assert not any(s.published for s in chart.series)


def test_where_theory_says_nothing_there_is_no_such_chart(small_run):
    networks = snapshots_of(small_run)
    for network in networks:
        for snapshot in network.snapshots:
            snapshot.signal[:] = [replace(stop, predicted=None) for stop in snapshot.signal]
    assert theory_charts(networks) == []
    assert "Predicted and measured" not in microscope_page(None).html()


def test_snapshots_that_do_not_fit_are_left_out_the_last_ones_stay(small_run):
    networks = snapshots_of(small_run)
    whole = SnapshotsPart(networks, math.inf)
    assert whole.left_out() == []
    size = max(len(json.dumps(snapshot)) for shown in whole.shown for snapshot in shown)
    two = SnapshotsPart(networks, 2 * 2.5 * size)
    assert [[snapshot["epoch"] for snapshot in shown] for shown in two.shown] == [[0, 2], [0, 2]]
    assert "4 of the 6 snapshots" in two.left_out()[0]
    one = SnapshotsPart(networks, 2 * 1.5 * size)
    assert [[snapshot["epoch"] for snapshot in shown] for shown in one.shown] == [[2], [2]]
    assert data_of(SnapshotsPart(networks, 10))["networks"] == []
    assert "0 of the 6 snapshots" in microscope_page(small_run, 10).html()


def test_names_from_the_disk_are_text(small_run, tmp_path):
    run = tmp_path / "a <b>run & more"
    shutil.copytree(small_run / "microscope/relu", run / "microscope/[x](#y) **b**")
    page = microscope_page(run).html()
    name = "[x](#y) **b**"
    title = f"The gradients of {name} in the run a &lt;b&gt;run &amp; more"
    assert f"<h1>{title}</h1>" in page
    assert f'<p class="answer">{name}, epoch 2: ' in page


def test_many_networks_are_counted_in_the_title(small_run):
    (network, *_) = snapshots_of(small_run)
    assert title_of("grid", [network] * 12) == "The gradients of 12 networks in the run grid"


def test_the_answer_says_what_is_left_of_the_signal(small_run):
    network = snapshots_of(small_run)[0]
    stops = network.snapshots[-1].signal
    share = f"{100 * stops[-1].norm / stops[0].norm:.2g}%"
    assert answer(network) == (
        f"relu, epoch 2: of the signal at the loss, {share} arrives at dense_1.z, where the first "
        "layer learns."
    )
    dead = replace(network.snapshots[-1], signal=[replace(stop, norm=0.0) for stop in stops])
    assert "nothing arrives" in answer(NetworkSnapshots("relu", [dead]))


def test_numbers_that_are_not_finite_are_gaps(small_run):
    snapshot = snapshots_of(small_run)[0].snapshots[0]
    stops = [replace(stop, norm=math.inf) for stop in snapshot.signal]
    broken = NetworkSnapshots("x", [replace(snapshot, loss=math.nan, signal=stops)])
    (shown,) = data_of(SnapshotsPart([broken], 1e9))["networks"][0]["snapshots"]
    assert shown["loss"] is None
    assert {stop["norm"] for stop in shown["signal"]} == {None}


def test_a_snapshot_of_another_network_in_the_same_folder_is_named(small_run, tmp_path):
    folder = shutil.copytree(small_run, tmp_path / "copy")
    snapshot = taken(Network([Dense(6, 4)], 6), 3)
    write_snapshot(folder / "microscope" / "relu" / "epoch-0003.npz", snapshot)
    message = r"epoch-0003\.npz: expected a snapshot of the same network"
    with pytest.raises(SnapshotError, match=message):
        snapshots_of(folder)


def test_a_network_with_one_stop_alone_makes_a_page(tmp_path):
    """A residual block that comes first keeps its signal to itself."""
    one = taken(Network([Residual([Dense(4, 4)])], 4), 0)
    assert len(one.signal) == 1
    (tmp_path / "microscope/net").mkdir(parents=True)
    write_snapshot(tmp_path / "microscope/net/epoch-0000.npz", one)
    assert "Layer by layer" in microscope_page(tmp_path).html()


def taken(network: Network, epoch: int):
    x, labels = np.ones((2, *network.input_shape), np.float32), np.array([0, 1])
    return take_snapshot(network, SoftmaxCrossEntropy(), x, labels, epoch)


# -- the colours ------------------------------------------------------------------------------


def colours_of(*functions):
    """The colours of networks of which nothing but the function of the first layer is known."""
    return network_colours(
        [
            SimpleNamespace(snapshots=[SimpleNamespace(layers=[SimpleNamespace(activation=f)])])
            for f in functions
        ]
    )


def test_a_network_has_the_colour_that_its_function_has_in_every_report():
    sigmoid, relu = function_colour("sigmoid"), function_colour("relu")
    assert colours_of("relu", "sigmoid") == [relu, sigmoid]
    assert colours_of("sigmoid", "relu") == [sigmoid, relu]
    assert colours_of("relu", "sigmoid", "sigmoid", "relu")[:2] == [relu, sigmoid]
    assert len(set(colours_of("relu", "sigmoid", "sigmoid", "relu"))) == 4
    many = colours_of(*["tanh"] * 30)
    assert len(many) == 30 and max(many) < len(PALETTE)


# -- the command ------------------------------------------------------------------------------


@pytest.fixture
def browsed(monkeypatch):
    """The addresses that the command would open in a browser."""
    found = []
    monkeypatch.setattr("webbrowser.open", found.append)
    return found


def refused(*arguments) -> str:
    with pytest.raises(SystemExit) as stopped:
        main(list(map(str, arguments)))
    assert stopped.value.code.startswith("microscope: ") and "\n" not in stopped.value.code
    return stopped.value.code


def test_the_page_is_written_into_the_folder_of_the_run_and_opened(
    small_run, tmp_path, browsed, capsys
):
    run = shutil.copytree(small_run, tmp_path / "a run")
    for _ in range(2):  # its own page is replaced
        main([str(run)])
    page = run / "microscope.html"
    assert browsed == [page.as_uri()] * 2 and browsed[0].endswith("/a%20run/microscope.html")
    said = capsys.readouterr().out.splitlines()
    assert said == [f"written to {page}, {page.stat().st_size / 1e6:.1f} MB"] * 2
    assert page.read_text("utf-8") == microscope_page(run).html()  # with all snapshots


def test_without_a_run_there_is_the_step_alone(tmp_path, browsed, monkeypatch):
    monkeypatch.chdir(tmp_path)
    main([])
    page = (tmp_path / "microscope.html").read_text("utf-8")
    assert browsed == [(tmp_path / "microscope.html").as_uri()]
    assert "One step, number by number" in page
    assert 'id="snapshots"' not in page


def test_an_exported_page_is_no_larger_than_it_may_be(small_run, tmp_path, monkeypatch, browsed):
    around = len(microscope_page(small_run, 0).html().encode())
    shown = SnapshotsPart(snapshots_of(small_run), math.inf).shown
    parts = [len(json.dumps(snapshot)) for network in shown for snapshot in network]
    for left in (0, 10_000, 50_000, 1_000_000):
        monkeypatch.setattr(microscope, "LARGEST", around + left)
        main([str(small_run), "--export", str(tmp_path / "page.html")])
        size = (tmp_path / "page.html").stat().st_size
        assert size <= around + left
        assert size > around + min(left, sum(parts)) / 2 - max(parts)
    assert browsed == []


def test_a_file_that_is_no_page_of_the_microscope_is_not_overwritten(tmp_path, browsed):
    path = tmp_path / "microscope.html"
    path.write_text("mine")
    assert f"{path}: expected no file, or an earlier page" in refused("--export", path)
    assert path.read_text() == "mine"
    assert browsed == []


@pytest.mark.parametrize("made", ["nothing", "empty", "file"])
def test_a_folder_without_snapshots_is_said_with_the_way_out(made, tmp_path, browsed):
    folder = tmp_path / "run"
    if made == "empty":
        (folder / "microscope" / "relu").mkdir(parents=True)
    if made == "file":
        folder.write_text("")
    said = refused(folder)
    assert said.startswith(f"microscope: {folder}: expected the folder of a run")
    assert "--record" in said
    assert browsed == [] and not (folder / "microscope.html").exists()


def test_a_damaged_snapshot_is_named(small_run, tmp_path):
    folder = shutil.copytree(small_run, tmp_path / "copy")
    path = folder / "microscope" / "relu" / "epoch-0001.npz"
    path.write_bytes(path.read_bytes()[:-100])
    assert f"{path}: expected a snapshot" in refused(folder)
