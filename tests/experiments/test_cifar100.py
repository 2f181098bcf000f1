"""The CIFAR-100 experiment from its command line to its report, on a few hundred images."""

import csv
import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import study_runs
from studies import activation_gallery
from studies.cifar100 import STUDY
from studies.cifar100.claims import CLAIMS, published
from studies.cifar100.training import build_network, set_up_of
from studies.cifar100.units import explained, over_all_images
from study_runs import summary

from minidl import ACTIVATIONS, Examples, Network, SoftmaxCrossEntropy, get_device, probe
from minidl.data import standin
from minidl.study import judge as judge_claims
from minidl.study.seeds import batches_rng
from minidl.training.checkpoint import CheckpointError
from minidl.training.software import Software

SCRIPT = Path(__file__).parents[2] / "experiments" / "cifar100.py"
HIDDEN = ["--hidden", "16", "16", "16", "16"]


@pytest.fixture(scope="module")
def small():
    return standin.generate(seed=0, train=300, test=100)


@pytest.fixture
def run(monkeypatch, tmp_path, small):
    """Run the experiment in this process and return its folder; figures only where asked for."""

    def run(*arguments, title=None, name="stand-in", train=None, figures=False):
        known = small if train is None else dataclasses.replace(small, train=train)
        data = dataclasses.replace(known, name=name, title=title or small.title)
        study_runs.give(monkeypatch, data)
        if not figures:
            study_runs.without_figures(monkeypatch)
        return study_runs.run(STUDY, tmp_path / "run", *arguments)

    return run


def rows(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_file_and_key(run, capsys):
    folder = run("--epochs", "3", *HIDDEN, figures=True)
    found = summary(folder)
    assert found["epochs"] == 3
    assert (found["train_images"], found["test_images"]) == (300, 100)
    assert found["seeds"] == [0]
    assert set(found["networks"]) == {"sigmoid", "relu"}
    for network in found["networks"].values():
        for key in ("train_accuracy", "train_loss", "test_accuracy", "test_loss", "seconds"):
            assert len(network[key]) == 3
        for key in ("weights", "biases"):
            gradients = np.array(network["gradients"][key])
            assert gradients.shape == (3, 5)  # output layer included
            assert (gradients > 0).all()
    assert set(found["paired_t_test"]) == {"statistic", "p_value", "degrees_of_freedom"}
    assert found["paired_t_test"]["degrees_of_freedom"] == 2
    for claim in found["claims"]:
        assert {"claim", "published", "measured", "verdict", "holds"} <= set(claim)
    assert len(rows(folder / "epochs.csv")) == 2 * 3
    gradients = rows(folder / "gradients.csv")
    assert len(gradients) == 3 * 2 * 5 * 2
    first = gradients[0]
    assert (first["epoch"], first["network"], first["parameter"]) == ("1", "sigmoid", "W")
    assert float(first["mean_abs"]) == found["networks"]["sigmoid"]["gradients"]["weights"][0][0]
    figures = {path.name for path in (folder / "figures").iterdir()}
    charts = [chart.file for chart in STUDY.report_of(folder).charts()]
    assert figures == {f"{name}.{kind}" for name in charts for kind in ("png", "svg")}
    out = capsys.readouterr().out
    assert "stand-in" in out.splitlines()[0]
    assert "stand-in" in out.splitlines()[-1]
    report = (folder / "report.md").read_text(encoding="utf-8")
    assert "Not CIFAR-100" in report
    assert STUDY.report_of(folder).stamp == "stand-in (generated images, not CIFAR-100)"
    assert "| published, epoch 3 |" in report
    for name in charts:
        assert f"(figures/{name}.png)" in report
    assert "dead on all 300 training images" in report


def test_same_seed_same_figures_and_weights(run, tmp_path):
    def figures(*arguments):
        folder = run("--epochs", "2", *HIDDEN, *arguments)
        networks = summary(folder)["networks"]
        for network in networks.values():
            del network["seconds"]
        with np.load(folder / "weights/relu-seed0.npz") as weights:
            return networks, weights["dense_1.W"]

    one, W = figures("--jobs", "1")
    other, again = figures("--jobs", "2", "--fresh")
    assert one == other
    assert np.array_equal(W, again)


def test_other_data_between_two_starts_are_refused(run, small):
    run("--epochs", "1", "--quiet", *HIDDEN)
    targets = small.train.targets.copy()
    targets[0] = (targets[0] + 1) % 10
    train = Examples(small.train.inputs, targets)
    with pytest.raises(
        CheckpointError, match=r'data stand-in "\w{64}", as in the run .*, got data'
    ):
        run("--epochs", "1", "--quiet", *HIDDEN, train=train)


def test_another_number_of_threads_is_another_run_and_the_report_says_how_many(run):
    folder = run("--epochs", "1", "--quiet", *HIDDEN)
    assert summary(folder)["threads"] == 1
    assert "network(s) at a time, 1 thread(s) for each" in (folder / "report.md").read_text("utf-8")
    with pytest.raises(CheckpointError, match="expected threads 1, as in the run stored there"):
        run("--epochs", "1", "--quiet", "--threads", "2", *HIDDEN)


def test_the_report_says_which_software_its_parts_were_computed_with(run, monkeypatch):
    now = Software.now()
    monkeypatch.setattr(Software, "now", lambda: Software(now.parts | {"NumPy": "1.0"}))
    run("--epochs", "1", "--quiet", "--activations", "relu", "tanh", *HIDDEN)
    monkeypatch.setattr(Software, "now", lambda: now)
    folder = run("--epochs", "1", "--quiet", *HIDDEN)
    assert [one["NumPy"] for one in summary(folder)["software"]] == ["1.0", np.__version__]
    for name in ("report.md", "report.html"):
        text = (folder / name).read_text("utf-8")
        assert "computed in parts" in text
        assert f"NumPy 1.0; NumPy {np.__version__}" in text


def test_weights_that_are_gone_are_written_again(run, capsys):
    folder = run("--epochs", "1", "--quiet", *HIDDEN)
    path = folder / "weights/relu-seed0.npz"
    before = path.read_bytes()
    path.unlink()
    capsys.readouterr()
    run("--epochs", "1", "--quiet", *HIDDEN)
    assert path.read_bytes() == before
    assert capsys.readouterr().err == f"minidl: {path}: missing; written again\n"


def test_another_study_does_not_write_here(run):
    folder = run("--epochs", "1", "--quiet", *HIDDEN)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(FileExistsError, match=r"run of activation_gallery .* run of cifar100;"):
        activation_gallery.STUDY.run(["--output-dir", str(folder)])
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_networks_start_alike_and_see_the_same_batches(small):
    chosen = STUDY.options([*HIDDEN])
    device = get_device("cpu")
    networks = [
        build_network(activation, chosen, small, 3, device) for activation in ("sigmoid", "relu")
    ]
    assert np.array_equal(networks[0].theta, networks[1].theta)
    batches = [batches_rng(3).permutation(50) for _ in range(2)]
    assert np.array_equal(*batches)


def test_weights_can_be_loaded(run, small):
    folder = run("--epochs", "1", *HIDDEN)
    chosen = STUDY.options([*HIDDEN])
    network = build_network("relu", chosen, small, 1, get_device("cpu"))
    network.load(folder / "weights/relu-seed0.npz")
    accuracy = (
        network.predict(small.test.inputs / np.float32(255)).argmax(1) == small.test.targets
    ).mean()
    assert accuracy == pytest.approx(summary(folder)["networks"]["relu"]["test_accuracy"][-1])
    assert isinstance(network, Network)


def test_several_seeds(run):
    folder = run("--epochs", "2", "--seeds", "3", "--seed", "5", *HIDDEN)
    found = summary(folder)
    assert found["seeds"] == [5, 6, 7]
    assert [block["seed"] for block in found["runs"]] == [5, 6, 7]
    each = [block["networks"]["relu"]["test_loss"] for block in found["runs"]]
    assert found["networks"]["relu"]["test_loss"] == pytest.approx(np.mean(each, axis=0))
    assert len({tuple(loss) for loss in each}) == 3
    assert "over the seeds" in (folder / "report.md").read_text(encoding="utf-8")


def test_other_activations_have_no_claims(run, capsys):
    folder = run("--epochs", "1", "--activations", "tanh", "elu", "gelu", *HIDDEN, "--quiet")
    found = summary(folder)
    assert set(found["networks"]) == {"tanh", "elu", "gelu"}
    assert found["claims"] == []
    assert found["paired_t_test"]["statistic"] is None  # one epoch is one pair
    assert "gelu" in (folder / "report.html").read_text(encoding="utf-8")
    assert "epoch 1/1" not in capsys.readouterr().out


def test_every_activation_has_its_report(run):
    names = [name for name in ACTIVATIONS if name != "softmax"]
    folder = run("--epochs", "1", "--hidden", "8", "8", "--activations", *names)
    assert set(summary(folder)["networks"]) == set(names)


def test_why_there_is_a_stand_in_ends_with_one_full_stop(run):
    found = summary(run("--epochs", "1", *HIDDEN)) | {"dataset_note": "The server was not found."}
    warning = str(STUDY.report(Path(), found).warning)
    assert "Not CIFAR-100: The server was not found. Not the published set-up" in warning


def test_a_run_on_cifar_100_is_not_called_a_stand_in(run, capsys):
    folder = run("--epochs", "1", *HIDDEN, name="cifar-100", title="CIFAR-100")
    report = (folder / "report.md").read_text(encoding="utf-8")
    assert "Not CIFAR-100" not in report
    assert "epochs 1 instead of 20" in report
    assert "stand-in" not in capsys.readouterr().out


def test_table_of_a_published_set_up_shows_both_figures(run):
    report = (run("--epochs", "1", *HIDDEN) / "report.md").read_text(encoding="utf-8")
    assert "after 1 epoch it recognises" in report
    assert "(3.45)" in report  # sigmoid, layer 1, epoch 1, × 10⁻³
    assert "(0.0464)" in report  # ReLU's accuracy in epoch 1


@pytest.mark.parametrize("name", ["sgd", "rmsprop", "adam", "adamw"])
def test_every_optimizer_with_the_defaults_of_keras(name):
    optimizer = set_up_of(STUDY.options(["--optimizer", name])).optimizer()
    assert optimizer.learning_rate == {"sgd": 0.01}.get(name, 0.001)
    assert getattr(optimizer, "epsilon", 1e-7) == 1e-7


def judge(runs):
    """Every claim on these pairs, beside the study's after as many epochs."""
    study, whole = (
        (found["sigmoid"], found["relu"])
        for found in (published(len(runs[0][0].train_accuracy)), published())
    )
    return judge_claims(CLAIMS, study, runs, whole)


def verdicts(*pairs):
    return {claim.claim: claim.verdict for claim in judge(list(pairs))}


def test_criteria_on_the_published_figures():
    study = published()
    claims = judge([(study["sigmoid"], study["relu"])])
    assert [claim.verdict for claim in claims] == [
        "holds",
        "holds",
        "does not hold",  # layers 1 and 4 rise
        "holds",
        "does not hold",  # layer 3 lies below layer 2
        "holds",
        "holds",
        "holds",
        "not judged",
    ]
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


def test_dead_units_are_counted_over_all_images(small):
    """Against all images at once, and the gradient of the living ones against their columns."""
    network = build_network("relu", STUDY.options(HIDDEN), small, 0, get_device("cpu"))
    network["dense_1"].b[:5] = -100  # dead whatever comes in
    found = over_all_images(network, small.train, SoftmaxCrossEntropy())
    network.forward(small.train.batch(0, 300, network.dtype)[0])
    layers = [network[f"dense_{i}"] for i in (1, 2, 3, 4)]
    assert found.dead == [float((layer.y == 0).all(axis=0).mean()) for layer in layers]
    assert found.dead[0] >= 5 / 16
    x, targets = small.train.batch(0, 64, network.dtype)
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
        (["--epochs", "0"], "--epochs: expected an integer >= 1, got '0'"),
        (["--limit", "many"], "--limit: expected an integer >= 1, got 'many'"),
        (["--activations", "relu"], "--activations: expected two or more different"),
        (["--activations", "relu", "relu"], "--activations: expected two or more different"),
        (["--activations", "relu", "softmax"], "invalid choice: 'softmax'"),
        (["--learning-rate", "-1"], "--learning-rate: expected a number above 0"),
        (["--learning-rate", "nan"], "--learning-rate: expected a number above 0"),
        (["--seed", "-1"], "--seed: expected an integer >= 0"),
        (["--dataset", "imagenet"], "invalid choice: 'imagenet'"),
    ],
)
def test_wrong_options(arguments, message, capsys):
    with pytest.raises(SystemExit) as stopped:
        STUDY.run(arguments)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data-dir", "nowhere"], "nowhere"),
        (["--device", "tpu"], "expected 'auto', 'cpu', 'cuda' or 'cuda:<number>', got 'tpu'"),
        (["--dataset", "stand-in", "--learning-rate", "1e30", *HIDDEN], "the loss is"),
    ],
)
def test_errors_are_one_line_without_a_traceback(arguments, message, tmp_path):
    command = [sys.executable, str(SCRIPT), *arguments, "--output-dir", str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 1
    *_, error = done.stderr.partition("cifar100: ")  # after what auto says of the device
    assert message in error
    assert "Traceback" not in done.stderr


def test_help():
    command = [sys.executable, str(SCRIPT), "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    options = """--epochs --batch-size --seed --seeds --activations --hidden --optimizer
        --learning-rate --dataset --data-dir --limit --device --jobs --threads --output-dir
        --quiet"""
    assert set(options.split()) <= set(done.stdout.replace(",", " ").split())
    assert "None" not in done.stdout  # an option without a default does not say one
    assert "(default: 20)" in done.stdout


def test_on_a_gpu_it_comes_to_the_same(device, small, monkeypatch, tmp_path):
    """The whole experiment as a CUDA graph, and launch by launch, beside the CPU."""
    study_runs.give(monkeypatch, small)
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
