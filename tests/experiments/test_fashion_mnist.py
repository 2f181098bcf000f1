"""The Fashion-MNIST experiment on a few hundred images."""

from dataclasses import replace

import numpy as np
import pytest
import small_studies
from studies.fashion_mnist.claims import CLAIMS, Series, published
from studies.fashion_mnist.training import SET_UPS, Images, first_mistakes
from study_runs import summary

from minidl import SGD, Adam, Dropout, class_report, predict_labels
from minidl.backend import CPU
from minidl.study import judge
from minidl.study.report import read_rows

DATA = small_studies.DATA["fashion_mnist"]
TRAIN, TEST, CLASSES = DATA.train, DATA.test, DATA.classes
IMAGES = Images(TRAIN, TEST, TRAIN.joined(TEST))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    seeds = ("--seeds", "2", "--seed", "4")
    return small_studies.run("fashion_mnist", tmp_path_factory.mktemp("run"), *seeds)


@pytest.mark.slow
def test_what_is_trained_and_reported(folder):
    found = summary(folder)
    assert found["dataset"] == "fashion-mnist"
    assert found["seeds"] == [4, 5]
    assert list(found["set_ups"]) == list(SET_UPS)
    for key, block in found["set_ups"].items():
        sizes = (300, 100) if key == "as_described" else (320, 80)
        assert (block["train_images"], block["test_images"]) == sizes
        assert [run["seed"] for run in block["runs"]] == [4, 5]
        assert len(block["claims"]) == len(CLAIMS)
        for name, network in block["networks"].items():
            each = [run["networks"][name] for run in block["runs"]]
            losses = [network["test_loss"] for network in each]
            assert network["test_loss"] == pytest.approx(np.mean(losses, axis=0))
            assert len({tuple(loss) for loss in losses}) == 2
            report = network["classification_report"]
            assert list(report) == [*CLASSES, "macro avg", "weighted avg"]
            assert report["Shirt"]["support"] == sizes[1] / 10
            assert report["macro avg"]["recall"] == pytest.approx(network["test_accuracy"][-1])
    rows = read_rows(folder, "epochs.csv")
    assert len(rows) == 4 * 2 * 2 * 2
    assert (rows[0]["set_up"], rows[0]["network"], rows[0]["epoch"]) == ("as_run", "sigmoid", "1")
    report = (folder / "report.md").read_text("utf-8")
    assert "2 epochs instead of the study's 10" in report
    assert f"(published {published(2)['as_run']['sigmoid'].test_accuracy[-1]:.4f})" in report
    assert "(published 0.5517)" not in report  # that is of epoch 10
    assert "| published, epoch 2 |" in report
    assert "| Shirt | " in report


@pytest.mark.slow
def test_report_is_that_of_the_weights_that_were_saved(folder):
    block = summary(folder)["set_ups"]
    for key in ("as_run_dropout", "as_described"):
        set_up = SET_UPS[key]
        network = set_up.network("relu", (1, 28, 28), 10, 9, CPU)
        network.load(folder / f"weights/{key}-relu-seed4.npz")
        _, test = IMAGES.split(set_up, 4)
        report = class_report(test.targets, predict_labels(network, test), CLASSES)
        written = block[key]["runs"][0]["networks"]["relu"]["classification_report"]
        assert written == report.as_dict()


# -- the set-ups ------------------------------------------------------------------------------


def test_pooled_split_is_stratified_and_the_same_for_both_networks():
    train, test = IMAGES.split(SET_UPS["as_run"], 0)
    assert np.bincount(test.targets).tolist() == [8] * 10
    assert np.bincount(train.targets).tolist() == [32] * 10
    assert (IMAGES.split(SET_UPS["as_run_adam"], 0)[1].inputs == test.inputs).all()
    assert (IMAGES.split(SET_UPS["as_run"], 1)[1].inputs != test.inputs).any()
    assert IMAGES.split(SET_UPS["as_described"], 0) == (TRAIN, TEST)


def test_networks_are_those_of_the_study():
    def network(key, activation, seed=0):
        return SET_UPS[key].network(activation, (1, 28, 28), 10, seed, CPU)

    run = network("as_run", "sigmoid")
    assert [layer.size for layer in run.layers] == [0, 785 * 128, 129 * 128, 129 * 10]
    assert network("as_described", "relu").shapes == [(784,), (128,), (10,)]
    rates = [la.rate for la in network("as_run_dropout", "relu").layers if isinstance(la, Dropout)]
    assert rates == [0.5, 0.5]
    assert np.array_equal(run.theta, network("as_run", "relu").theta)
    assert not np.array_equal(run.theta, network("as_run", "sigmoid", seed=1).theta)


def test_optimizers_are_keras_defaults():
    sgd = SET_UPS["as_run"].optimizer()
    assert isinstance(sgd, SGD)
    assert (sgd.learning_rate, sgd.momentum) == (0.01, 0)
    adam = SET_UPS["as_described"].optimizer()
    assert isinstance(adam, Adam)
    assert (adam.learning_rate, adam.epsilon, adam.epsilon_hat) == (0.001, 1e-7, True)
    batches = [set_up.batch_size for set_up in SET_UPS.values()]
    assert batches == [1000, 1000, 1000, 32]


def test_first_mistake_of_each_class():
    answers = TEST.targets.copy()
    wrong = [np.flatnonzero(TEST.targets == label)[1] for label in (0, 3)]
    later = np.flatnonzero(TEST.targets == 3)[2]
    answers[[*wrong, later]] = 7
    found = first_mistakes(TEST, answers)
    assert [(m.label, m.taken_for) for m in found] == [(0, 7), (3, 7)]
    for mistake, n in zip(found, wrong, strict=True):
        assert np.array_equal(mistake.image, TEST.inputs[n, 0])
    assert first_mistakes(TEST, TEST.targets) == []


# -- the claims -------------------------------------------------------------------------------


def claims(pair, *runs):
    return {claim.claim: claim for claim in judge(CLAIMS, pair, runs or [pair])}


def study_pair():
    study = published()["as_run"]
    return study["sigmoid"], study["relu"]


def test_what_is_said_of_the_published_figures():
    found = claims(study_pair())
    most = found["ReLU is significantly more accurate than sigmoid"]
    # 1.96 · √(0.7677 · 0.2323 / 14000 + 0.5517 · 0.4483 / 14000)
    assert most.measured == "ReLU 0.7677, sigmoid 0.5517; ReLU − sigmoid +0.216 (+0.205 to +0.227)"
    smooth = found["ReLU's loss converges more smoothly"]
    assert smooth.published.startswith("rises in: ReLU 0, sigmoid 0 of 9 epochs")
    assert smooth.published.endswith("(within chance)")


def test_with_fewer_epochs_the_study_is_that_of_the_same_epoch():
    study = published(3)["as_run"]
    assert (
        study["relu"].test_accuracy.tolist()
        == published()["as_run"]["relu"].test_accuracy[:3].tolist()
    )
    assert study["relu"].by_class == {}  # known after the last epoch only
    found = claims((study["sigmoid"], study["relu"]))
    assert (
        found["ReLU can tell Pullover from Shirt, sigmoid hardly can"].published == "not reported"
    )


def series(**figures) -> Series:
    return replace(study_pair()[0], **figures)


def rising(*values):
    return np.array(values, float)


def layers(*first):
    """The gradients of two hidden layers by epoch."""
    return np.array([first, np.ones(len(first))]).T


ALIKE = {"Shirt": {"f1": 0.2, "support": 1000}, "Pullover": {"f1": 0.1, "support": 1000}}
MORE = {name: figures | {"f1": figures["f1"] + 0.1} for name, figures in ALIKE.items()}
SAME = {name: figures | {"f1": 0.07} for name, figures in ALIKE.items()}


@pytest.mark.parametrize(
    ("claim", "sigmoid", "relu", "verdict"),
    [
        (0, {"test_accuracy": rising(0.880)}, {"test_accuracy": rising(0.883)}, "not decided"),
        (0, {"test_accuracy": rising(0.880)}, {"test_accuracy": rising(0.890)}, "holds"),
        (0, {"test_accuracy": rising(0.890)}, {"test_accuracy": rising(0.880)}, "does not hold"),
        (0, {"test_accuracy": rising(1.0)}, {"test_accuracy": rising(1.0)}, "not decided"),
        (1, {"test_accuracy": rising(0.1, 0.6, 0.7, 0.8)},
            {"test_accuracy": rising(0.7, 0.9, 0.9, 0.9)}, "holds"),
        (1, {"test_accuracy": rising(0.1, 0.6, 0.7, 0.8)},
            {"test_accuracy": rising(0.1, 0.8, 0.9, 0.9)}, "not decided"),
        (1, {"test_accuracy": rising(0, 0.8)}, {"test_accuracy": rising(0.1, 0.9)},
            "does not hold"),
        (2, {"test_loss": rising(*range(12))}, {"test_loss": rising(*range(12, 0, -1))}, "holds"),
        (2, {"test_loss": rising(3, 2, 1)}, {"test_loss": rising(3, 2, 1)}, "not decided"),
        (2, {"test_loss": rising(*range(12, 0, -1))}, {"test_loss": rising(*range(12))},
            "does not hold"),
        (3, {}, {"train_accuracy": rising(0.6), "test_accuracy": rising(0.56)}, "does not hold"),
        (3, {}, {"train_accuracy": rising(0.6), "test_accuracy": rising(0.58)}, "not decided"),
        (4, {"by_class": ALIKE}, {"by_class": MORE}, "holds"),
        (4, {"by_class": ALIKE}, {"by_class": SAME}, "does not hold"),
        (5, {"flat": 0.7}, {"flat": 0.9}, "holds"),
        (5, {"flat": 0.55}, {"flat": 0.4}, "not decided"),
        (5, {"flat": 0.3}, {"flat": 0.1}, "does not hold"),
        (6, {"gradients": layers(1, 1.1, 1)}, {"gradients": layers(4, 4.1, 4)}, "holds"),
        (6, {"gradients": layers(1, 3, 1)}, {"gradients": layers(2, 1, 2)}, "not decided"),
    ],
)  # fmt: skip
def test_criteria_by_hand(claim, sigmoid, relu, verdict):
    judged = judge([CLAIMS[claim]], study_pair(), [(series(**sigmoid), series(**relu))])
    assert judged[0].verdict == verdict


def test_times_are_shown_and_not_judged():
    pair = (series(seconds=rising(2, 2.01, 2)), series(seconds=rising(1, 1.01, 1)))
    (judged,) = judge([CLAIMS[7]], study_pair(), [pair])
    assert judged.verdict == "not judged"
    assert judged.measured.startswith("ReLU 1.00 s, sigmoid 2.00 s; not judged: another machine")
