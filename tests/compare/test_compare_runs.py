"""Runs are read from their folders; anything that cannot be compared is a one-line error."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from minidl.compare.__main__ import main
from minidl.compare.runs import GRADIENT, read_runs

RESULTS = Path(__file__).parents[2] / "docs" / "results"
ONE, FIVE = RESULTS / "cifar100", RESULTS / "cifar100_five_seeds"


def summary_of(folder):
    return json.loads((folder / "summary.json").read_text("utf-8"))


def refused(capsys, *arguments):
    """The one-line error that the command ends with."""
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    assert isinstance(ended.value.code, str) and "\n" not in ended.value.code
    assert capsys.readouterr().out == ""
    return ended.value.code


def test_figures_options_and_conditions_are_those_of_the_summaries():
    one, five = read_runs([ONE, FIVE])
    assert (one.label, five.label) == ("cifar100", "cifar100_five_seeds")
    for run, folder in ((one, ONE), (five, FIVE)):
        for name, block in summary_of(folder)["networks"].items():
            curves = run.networks["", name]
            for figure in ("train_accuracy", "test_loss", "seconds"):
                np.testing.assert_allclose(curves[figure].mean(axis=0), block[figure])
            hidden = np.array(block["gradients"]["weights"])[:, :-1].mean(axis=1)
            np.testing.assert_allclose(curves[GRADIENT].mean(axis=0), hidden)
    assert five.networks["", "relu"]["test_accuracy"].shape == (5, 20)
    assert (one.options["seeds"], five.options["seeds"]) == ("0", "0, 1, 2, 3, 4")
    assert one.options["hidden"] == "512, 512, 512, 512"
    assert one.conditions["software: loops"] == "numba 0.68.1"
    assert "seconds" not in one.options | one.conditions
    assert not {"device", "networks", "claims", "paired t test"} & one.options.keys()


def test_set_ups_training_runs_and_a_file_of_rows_are_read_too():
    fashion, adaptive, study = read_runs(
        [RESULTS / name for name in ("fashion_mnist", "adaptive_activations", "activation_study")]
    )
    assert fashion.networks["as_run", "relu"]["test_accuracy"].shape == (3, 10)
    assert fashion.options["as_run: optimizer"] == "sgd, learning rate 0.01"
    assert adaptive.networks["hinges_as_run", "10"]["train_loss"].shape[0] == 3
    with (RESULTS / "activation_study" / "epochs.csv").open(encoding="utf-8") as file:
        rows = [r for r in csv.DictReader(file) if r["optimizer"] == "sgd"]
    expected = [
        float(row["validation_loss"])
        for row in rows
        if (row["data_set"], row["activation"]) == ("mnist", "elu")
    ]
    assert study.networks["mnist, sgd", "elu"]["validation_loss"][0].tolist() == expected


def test_training_runs_that_differ_in_anything_but_their_seed_are_networks_of_their_own():
    resnet, bert = read_runs([RESULTS / "resnet50", RESULTS / "bert"])
    every = "as_run, mnist, adam, momentum 0.9, batch size 64"
    assert resnet.networks[every, "relu"]["train_loss"].shape == (3, 6)
    assert resnet.networks[every.replace("0.9", "0.5"), "relu"]["train_loss"].shape == (1, 6)
    epochs = {curves["train_loss"].shape[1] for curves in resnet.networks.values()}
    assert epochs == {6}
    blocks = summary_of(RESULTS / "bert")["networks"]
    tested = [b["test_loss"] for b in blocks if (b["data"], b["row"], b["way"]) == GELU]
    np.testing.assert_allclose(bert.networks["cola, as_run", "GELU"]["test_loss"], tested)


GELU = "cola", "GELU", "as_run"
COLUMNS = "way,seed,momentum,epoch,network,train_loss"


def run_of(folder, *rows):
    """A run of a study whose summary has nothing by epoch."""
    folder.mkdir()
    (folder / "summary.json").write_text("{}")
    (folder / "epochs.csv").write_text("\n".join([COLUMNS, *rows]) + "\n")
    return folder


def test_a_file_of_rows_says_whose_they_are(capsys, tmp_path):
    """A seed that early stopping ended has no figures later."""
    rows = "a,0,0.5,1,relu,1.0", "a,0,0.5,2,relu,0.5", "a,1,0.5,1,relu,2.0", "b,0,0.9,1,relu,3.0"
    found, _ = read_runs([run_of(tmp_path / "one", *rows), ONE])
    curves = {key: network["train_loss"] for key, network in found.networks.items()}
    assert list(curves) == [("a, momentum 0.5", "relu"), ("b, momentum 0.9", "relu")]
    np.testing.assert_array_equal(curves["a, momentum 0.5", "relu"], [[1.0, 0.5], [2.0, np.nan]])
    twice = run_of(tmp_path / "two", "a,0,0.5,1,relu,1.0", "a,0,0.5,1,relu,1.0")
    assert "epochs.csv: expected epoch 2, got 1" in refused(capsys, ONE, twice)


def test_folders_of_the_same_name_are_distinguished_by_their_paths(tmp_path):
    shutil.copytree(ONE, tmp_path / "cifar100")
    runs = read_runs([ONE, tmp_path / "cifar100"])
    assert [run.label for run in runs] == [str(ONE), str(tmp_path / "cifar100")]


def test_anything_but_a_comparable_run_is_a_one_line_error(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert refused(capsys, ONE).startswith("compare: expected the folders of two runs or more")
    assert "expected each run once" in refused(capsys, ONE, ONE / ".." / "cifar100")
    for nothing in (tmp_path, tmp_path / "nowhere"):
        assert "with its summary.json, found none" in refused(capsys, ONE, nothing)
    gallery = RESULTS / "activation_gallery"
    assert "expected a run with accuracy or loss by epoch" in refused(capsys, ONE, gallery)
    assert list(tmp_path.iterdir()) == []
    for change in (
        {"networks": [1]},
        {"networks": [{"seed": 0, "test_accuracy": [0.5]}]},  # of no name
        {"networks": {"relu": {"test_accuracy": "high"}}},
        {"networks": {"relu": {"test_accuracy": []}}},
        {"networks": {"relu": {"test_accuracy": [0.5], "gradients": 3}}},
        {"hardware": "all"},
        {"runs": 7},
        {"set_ups": {"a": None}},
    ):
        run = tmp_path / "run"
        run.mkdir(exist_ok=True)
        (run / "summary.json").write_text(json.dumps(summary_of(ONE) | change), "utf-8")
        said = refused(capsys, ONE, run, "--output", tmp_path / "page.html")
        assert said.startswith(f"compare: {run}: expected summary.json as a run writes it"), change
        assert not (tmp_path / "page.html").exists()


def test_a_foreign_file_is_not_overwritten(capsys, tmp_path):
    page = tmp_path / "page.html"
    main([str(ONE), str(FIVE), "--output", str(page)])
    first = page.read_bytes()
    assert capsys.readouterr().out == f"written to {page}, {len(first) / 1e6:.1f} MB\n"
    main([str(FIVE), str(ONE), "--output", str(page)])  # its own page may be
    assert page.read_bytes() != first
    capsys.readouterr()
    shutil.copy(ONE / "report.html", page)
    assert "choose another name" in refused(capsys, ONE, FIVE, "--output", page)
    assert page.read_bytes() == (ONE / "report.html").read_bytes()
    assert "create it first" in refused(capsys, ONE, FIVE, "--output", tmp_path / "a" / "b.html")


def test_help_names_the_default_and_no_none(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    said = capsys.readouterr().out
    assert "(default: compare.html)" in said and "None" not in said
    assert said.startswith("usage: python -m minidl.compare")
