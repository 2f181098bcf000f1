"""The CIFAR-100 experiment on a few hundred images."""

import dataclasses
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import small_studies
import study_runs
from published_figures import pair_of
from studies.cifar100 import STUDY
from studies.cifar100.claims import CLAIMS, published
from studies.cifar100.training import build_network, set_up_of
from studies.cifar100.units import explained, over_all_images
from study_runs import summary

from minidl import ACTIVATIONS, SoftmaxCrossEntropy, get_device, probe
from minidl.optimizers import OPTIMIZERS
from minidl.study import judge as judge_claims
from minidl.study.report import read_rows
from minidl.study.seeds import batches_rng
from minidl.training.software import Software

HIDDEN = ["--hidden", "16", "16", "16", "16"]
SMALL = small_studies.DATA["cifar100"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Of three epochs with two seeds."""
    place = tmp_path_factory.mktemp("run")
    return small_studies.run(
        "cifar100", place, "--epochs", "3", "--seeds", "2", "--seed", "5", "--quiet"
    )


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Run the study with another part of its data or of its options; its folder."""

    def run(*arguments, **changed):
        study_runs.give(monkeypatch, dataclasses.replace(SMALL, **changed))
        study_runs.without_figures(monkeypatch)
        return study_runs.run(STUDY, tmp_path / "run", "--epochs", "1", *HIDDEN, *arguments)

    return run


def test_summary_and_tables(folder):
    found = summary(folder)
    assert (found["epochs"], found["train_images"], found["test_images"]) == (3, 300, 100)
    assert found["seeds"] == [block["seed"] for block in found["runs"]] == [5, 6]
    for name, network in found["networks"].items():
        each = [block["networks"][name] for block in found["runs"]]
        assert network["test_loss"] == pytest.approx(
            np.mean([n["test_loss"] for n in each], axis=0)
        )
        assert each[0]["test_loss"] != each[1]["test_loss"]
        for key in ("train_accuracy", "train_loss", "test_accuracy", "test_loss", "seconds"):
            assert len(network[key]) == 3
        for key in ("weights", "biases"):
            gradients = np.array(network["gradients"][key])
            assert gradients.shape == (3, 5)  # output layer included
            assert (gradients > 0).all()
    assert set(found["paired_t_test"]) == {"statistic", "p_value", "degrees_of_freedom"}
    assert found["paired_t_test"]["degrees_of_freedom"] == 2
    for claim in found["claims"]:
        assert set(claim) == {"claim", "criterion", "published", "measured", "verdict", "holds"}
    assert len(read_rows(folder, "epochs.csv")) == 2 * 2 * 3
    first, *_ = rows = read_rows(folder, "gradients.csv")
    assert len(rows) == 2 * 3 * 2 * 5 * 2
    assert (first["epoch"], first["network"], first["parameter"]) == ("1", "sigmoid", "W")
    block = found["runs"][0]["networks"]["sigmoid"]["gradients"]
    assert float(first["mean_abs"]) == block["weights"][0][0]


def test_what_the_report_says(folder):
    report = (folder / "report.md").read_text("utf-8")
    assert "Not CIFAR-100" in report and "epochs 3 instead of 20" in report
    assert STUDY.report_of(folder).stamp == "stand-in (generated images, not CIFAR-100)"
    assert "| published, epoch 3 |" in report
    assert "dead on all 300 training images" in report
    assert "over the seeds" in report
    assert "after 3 epochs it recognises" in report
    assert "(3.45)" in report  # sigmoid, layer 1, epoch 1, × 10⁻³
    assert "(0.0464)" in report  # ReLU's accuracy in epoch 1
    assert "network(s) at a time, 1 thread(s) for each" in report
    found = summary(folder) | {"dataset_note": "The server was not found."}
    warning = str(STUDY.report(Path(), found).warning)
    assert "Not CIFAR-100: The server was not found. Not the published set-up" in warning


def test_the_report_says_which_software_its_parts_were_computed_with(run, monkeypatch):
    now = Software.now()
    monkeypatch.setattr(Software, "now", lambda: Software(now.parts | {"NumPy": "1.0"}))
    run("--quiet", "--activations", "relu", "tanh")
    monkeypatch.setattr(Software, "now", lambda: now)
    folder = run("--quiet")
    assert [one["NumPy"] for one in summary(folder)["software"]] == ["1.0", np.__version__]
    for name in ("report.md", "report.html"):
        text = (folder / name).read_text("utf-8")
        assert "computed in parts" in text
        assert f"NumPy 1.0; NumPy {np.__version__}" in text


def test_the_weights_that_a_run_leaves_can_be_loaded(run):
    folder = run("--quiet")
    network = build_network("relu", STUDY.options(HIDDEN), SMALL, 1, get_device("cpu"))
    network.load(folder / "weights/relu-seed0.npz")
    right = network.predict(SMALL.test.inputs / np.float32(255)).argmax(1) == SMALL.test.targets
    expected = summary(folder)["networks"]["relu"]["test_accuracy"][-1]
    assert right.mean() == pytest.approx(expected)


def test_networks_start_alike_and_see_the_same_batches():
    chosen, device = STUDY.options(HIDDEN), get_device("cpu")
    networks = [build_network(f, chosen, SMALL, 3, device) for f in ("sigmoid", "relu")]
    assert np.array_equal(networks[0].theta, networks[1].theta)
    batches = [batches_rng(3).permutation(50) for _ in range(2)]
    assert np.array_equal(*batches)


def test_other_activations_have_no_claims(run, capsys):
    folder = run("--activations", "tanh", "elu", "gelu", "--quiet")
    found = summary(folder)
    assert set(found["networks"]) == {"tanh", "elu", "gelu"}
    assert found["claims"] == []
    assert found["paired_t_test"]["statistic"] is None  # one epoch is one pair
    report = (folder / "report.md").read_text("utf-8")
    assert report.startswith("# Tanh against elu against gelu: ")
    assert "Does ReLU limit" not in report and "Sigmoid against ReLU" not in report
    assert "; tanh, elu, gelu instead of sigmoid and relu." in report
    assert "epoch 1/1" not in capsys.readouterr().out


@pytest.mark.slow
def test_every_activation_has_its_report(run):
    names = [name for name in ACTIVATIONS if name != "softmax"]
    assert set(summary(run("--activations", *names))["networks"]) == set(names)


def test_a_run_on_cifar_100_is_not_called_a_stand_in(run, capsys):
    folder = run(name="cifar-100", title="CIFAR-100")
    report = (folder / "report.md").read_text(encoding="utf-8")
    assert "Not CIFAR-100" not in report
    assert "epochs 1 instead of 20" in report
    assert "stand-in" not in capsys.readouterr().out


def test_every_optimizer_with_the_defaults_of_keras():
    for name in OPTIMIZERS:
        optimizer = set_up_of(STUDY.options(["--optimizer", name])).optimizer()
        assert optimizer.learning_rate == {"sgd": 0.01}.get(name, 0.001), name
        assert getattr(optimizer, "epsilon", 1e-7) == 1e-7, name


def judge(runs):
    """Every claim on these pairs, beside the study's after as many epochs."""
    study, whole = (
        (found["sigmoid"], found["relu"])
        for found in (published(len(runs[0][0].train_accuracy)), published())
    )
    return judge_claims(CLAIMS, study, runs, whole)


def verdicts(*pairs):
    return {claim.claim: claim.verdict for claim in judge(list(pairs))}


def test_what_is_said_of_the_published_figures():
    claims = judge([pair_of(published())])
    # 0.3105 and 1.96 √(0.48 · 0.52 / 50000 + 0.17 · 0.83 / 50000)
    assert claims[0].measured == (
        "ReLU 0.4808, sigmoid 0.1703; ReLU − sigmoid +0.310 (+0.305 to +0.316)"
    )
    assert "the study's test: t = -8.07, p = 1.5e-07" in claims[7].measured


def test_claims_turned_around_do_not_hold():
    study = published()
    turned = verdicts((study["relu"], study["sigmoid"]))
    assert "holds" not in turned.values()
    assert turned["ReLU is more accurate than sigmoid"] == "does not hold"


def test_seeds_that_contradict_one_another_decide_nothing():
    study = published()
    pair, turned = (study["sigmoid"], study["relu"]), (study["relu"], study["sigmoid"])
    claim = "ReLU is more accurate than sigmoid"
    assert verdicts(pair, pair, pair)[claim] == "holds"
    assert verdicts(pair, turned)[claim] == "not decided"
    assert "first of 2 seeds" in judge([pair, turned])[0].measured


def test_with_fewer_epochs_the_study_is_judged_after_as_many():
    short = {name: series.until(6) for name, series in published().items()}
    claims = judge([(short["sigmoid"], short["relu"])])
    assert claims[0].published == "ReLU 0.2157, sigmoid 0.0990"
    assert claims[5].published == "smallest in 6 of 6 epochs"


def test_too_few_epochs_for_a_trend():
    short = {name: series.until(4) for name, series in published().items()}
    claims = judge([(short["sigmoid"], short["relu"])])
    assert [claim.verdict for claim in claims[1:4]] == ["not judged"] * 3
    assert {claim.published for claim in claims[1:4]} == {"no figure after so few epochs"}


# -- dead units -------------------------------------------------------------------------------


def test_dead_units_are_counted_over_all_images():
    """Against all images at once, and the gradient of the living ones against their columns."""
    network = build_network("relu", STUDY.options(HIDDEN), SMALL, 0, get_device("cpu"))
    network["dense_1"].b[:5] = -100  # dead whatever comes in
    found = over_all_images(network, SMALL.train, SoftmaxCrossEntropy())
    network.forward(SMALL.train.batch(0, 300, network.dtype)[0])
    layers = [network[f"dense_{i}"] for i in (1, 2, 3, 4)]
    assert found.dead == [float((layer.y == 0).all(axis=0).mean()) for layer in layers]
    assert found.dead[0] >= 5 / 16
    x, targets = SMALL.train.batch(0, 64, network.dtype)
    probe(network, SoftmaxCrossEntropy(), x, targets, "sum")
    dW = network["dense_1"].gradients()["W"]
    assert not dW[:, :5].any()
    assert found.live_gradients[0] == pytest.approx(
        np.abs(dW).sum() / dW.shape[0] / (16 * (1 - found.dead[0])), rel=1e-4
    )


def units(gradients, dead, live):
    block = {
        "gradients": {"weights": [[*gradients, 1.0]]},
        "all_images": {"dead": dead, "live_gradients": live},
    }
    return explained({"networks": {"relu": block}})


@pytest.mark.parametrize(
    ("gradients", "live", "said"),
    [
        ([1.0, 2.0, 3.0], [9.0, 3.0, 3.0], "is explained by its dead units"),
        ([1.0, 2.0, 3.0], [2.0, 3.0, 4.0], "do not explain why the first layer lags"),
        ([2.0, 1.0, 3.0], [9.0, 3.0, 3.0], "is not the smallest one."),
        ([0.0, 1.0, 3.0], [float("nan"), 3.0, 3.0], "nothing to compare"),
    ],
)
def test_whether_dead_units_explain_the_first_layer_follows_from_the_figures(gradients, live, said):
    text = units(gradients, [0.9, 0.1, 0.2], live)
    assert said in text
    assert "90.0% of the units of ReLU's first layer are dead on all training images" in text
    assert "10.0% to 20.0%" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--activations", "relu"], "--activations: expected two or more different"),
        (["--activations", "relu", "relu"], "--activations: expected two or more different"),
        (["--activations", "relu", "softmax"], "invalid choice: 'softmax'"),
        (["--learning-rate", "-1"], "--learning-rate: expected a number above 0"),
        (["--learning-rate", "nan"], "--learning-rate: expected a number above 0"),
    ],
)
def test_wrong_options(arguments, message, capsys):
    with pytest.raises(SystemExit):
        STUDY.options(arguments)
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--device", "tpu"], "expected 'auto', 'cpu', 'cuda' or 'cuda:<number>', got 'tpu'"),
        (["--device", "cpu", "--learning-rate", "1e30", *HIDDEN], "the loss is"),
        (
            ["--device", "cpu", "--learning-rate", "1e300", *HIDDEN, "--limit", "64"],
            "epoch 1: the test loss is nan after its last step; try a smaller learning_rate",
        ),
    ],
)
def test_errors_are_one_line(arguments, message, monkeypatch, tmp_path):
    study_runs.give(monkeypatch, SMALL)
    monkeypatch.setattr(sys, "argv", ["x", *arguments, "--output-dir", str(tmp_path), "--quiet"])
    with pytest.raises(SystemExit, match=f"^cifar100: .*{re.escape(message)}"):
        STUDY.main()


def test_on_a_gpu_it_comes_to_the_same(device, monkeypatch, tmp_path):
    """The whole experiment as a CUDA graph, and launch by launch, beside the CPU."""
    study_runs.give(monkeypatch, SMALL)
    study_runs.without_figures(monkeypatch)
    found = {}
    for name, options in {
        "cpu": ["--device", "cpu"],
        "graph": ["--device", device.name],
        "launches": ["--device", device.name, "--no-graph"],
    }.items():
        folder = tmp_path / name
        STUDY.run([*HIDDEN, "--epochs", "2", *options, "--quiet", "--output-dir", str(folder)])
        found[name] = summary(folder)["networks"]
    for network, figures in found["cpu"].items():
        for name in ("graph", "launches"):
            for key in ("train_loss", "train_accuracy", "test_loss", "test_accuracy"):
                theirs = found[name][network][key]
                np.testing.assert_allclose(theirs, figures[key], rtol=1e-3, atol=0.011)
