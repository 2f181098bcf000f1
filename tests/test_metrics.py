"""Confusion matrix and class reports: by hand, against scikit-learn, and by their laws."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from make_learning import PLACE, REPORTS, answers, sklearn_report

from minidl import (
    ClassReport,
    Dense,
    Dropout,
    Embedding,
    Examples,
    FirstToken,
    Flatten,
    Network,
    SelfAttention,
    SoftmaxCrossEntropy,
    class_report,
    confusion_matrix,
    evaluate,
    predict_labels,
)

GOLDEN = json.loads(PLACE.read_text("utf-8"))["reports"]


def test_by_hand():
    """Three cats, two found and one mistaken for a dog; two dogs, both found; no fox."""
    labels, predictions = np.array([0, 0, 0, 1, 1]), np.array([0, 1, 0, 1, 1], np.uint8)
    report = class_report(labels, predictions, ["cat", "dog", "fox"])
    assert report.confusion.tolist() == [[2, 1, 0], [0, 2, 0], [0, 0, 0]]
    assert report.support.tolist() == [3, 2, 0]
    assert report.by_class.precision.tolist() == [1, 2 / 3, 0]  # 0/0 is 0
    assert report.by_class.recall.tolist() == [2 / 3, 1, 0]
    assert report.by_class.f1.tolist() == [0.8, 0.8, 0]
    assert report.accuracy == 0.8
    assert report.macro == pytest.approx(((1 + 2 / 3) / 3, (2 / 3 + 1) / 3, 1.6 / 3))
    assert report.weighted == pytest.approx((0.6 + 0.8 / 3, 0.8, 0.8))
    assert str(report).splitlines() == [
        "              precision  recall      f1  support",
        "cat              1.0000  0.6667  0.8000        3",
        "dog              0.6667  1.0000  0.8000        2",
        "fox              0.0000  0.0000  0.0000        0",
        "macro avg        0.5556  0.5556  0.5333        5",
        "weighted avg     0.8667  0.8000  0.8000        5",
        "accuracy 0.8000",
    ]
    assert report.as_dict()["dog"] == {"precision": 2 / 3, "recall": 1, "f1": 0.8, "support": 2}
    assert list(report.as_dict())[-2:] == ["macro avg", "weighted avg"]


def test_two_classes_of_one_name_would_share_a_row():
    with pytest.raises(
        ValueError, match="ClassReport: expected each name only once, got 'cat' again"
    ):
        class_report(np.array([0, 1]), np.array([0, 1]), ["cat", "cat"])


def test_one_answer_for_all_has_no_correlation_however_large_its_class():
    labels = np.arange(1000) < 708
    report = class_report(labels.astype(int), np.ones(1000, int), ["no", "yes"])
    assert report.accuracy == 0.708
    assert report.weighted.f1 == pytest.approx(0.5870, abs=5e-5)
    assert report.matthews == 0
    turned = class_report(labels.astype(int), (~labels).astype(int), ["no", "yes"])
    assert turned.matthews == pytest.approx(-1)


def test_matthews_by_hand_and_of_counts_beyond_64_bits():
    M = np.array([[4, 1], [2, 3]])
    assert ClassReport(("a", "b"), M).matthews == pytest.approx(10 / math.sqrt(6 * 5 * 5 * 4))
    assert ClassReport(("a", "b"), M * 2**60 // 8).matthews == pytest.approx(10 / math.sqrt(600))


@pytest.mark.parametrize("name", REPORTS)
def test_scores_equal_scikit_learns(name):
    golden = GOLDEN[name]
    report = class_report(*answers(name), [f"class {i}" for i in range(REPORTS[name][0])])
    assert report.confusion.tolist() == golden["confusion"]
    np.testing.assert_allclose([*report.by_class, report.support], golden["by_class"], rtol=1e-14)
    np.testing.assert_allclose(report.macro, golden["macro"], rtol=1e-14)
    np.testing.assert_allclose(report.weighted, golden["weighted"], rtol=1e-14)
    assert report.accuracy == golden["accuracy"]
    assert report.matthews == pytest.approx(golden["matthews"], rel=1e-12, abs=1e-15)


def test_labels_in_bytes_do_not_overflow():
    labels = np.arange(100, dtype=np.uint8)
    assert (confusion_matrix(labels, labels, 100) == np.eye(100)).all()


@pytest.mark.peer
def test_scores_equal_those_of_the_installed_scikit_learn():
    pytest.importorskip("sklearn", reason="needs scikit-learn to compare with")
    for name in REPORTS:
        assert sklearn_report(name) == GOLDEN[name]


pairs = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30)


@given(pairs)
def test_laws(drawn):
    labels, predictions = np.array(drawn).T
    report = class_report(labels, predictions, "abcd")
    turned = class_report(predictions, labels, "abcd")
    assert (report.confusion == turned.confusion.T).all()
    assert (report.by_class.precision == turned.by_class.recall).all()
    assert (report.by_class.f1 == turned.by_class.f1).all()
    # the recall weighted by support is the share of examples that are right: the accuracy
    assert report.weighted.recall == pytest.approx(report.accuracy)
    precision, recall, f1 = report.by_class
    low, high = np.minimum(precision, recall), np.maximum(precision, recall)
    assert ((low <= f1 + 1e-15) & (f1 <= high + 1e-15)).all()
    shuffled = np.random.default_rng(0).permutation(len(labels))
    again = confusion_matrix(labels[shuffled], predictions[shuffled], 4)
    assert (again == report.confusion).all()


def test_predict_labels_are_the_largest_outputs_without_dropout(device):
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (23, 2, 4), dtype=np.uint8), rng.integers(0, 3, 23)
    layers = [Flatten(), Dense(8, 6, "tanh"), Dropout(0.5), Dense(6, 3)]
    network = Network(layers, (2, 4), rng=1, dtype="float64", device=device)
    examples = Examples(images, labels)
    for batch_size in (1, 4, 23, 99):
        found = predict_labels(network, examples, batch_size)
        assert type(found) is np.ndarray
        assert (found == network.predict(images / 255).argmax(axis=1)).all()
        assert (predict_labels(network, images, batch_size) == found).all()  # or plain bytes
    accuracy = class_report(labels, found, "abc").accuracy
    assert accuracy == evaluate(network, examples, SoftmaxCrossEntropy()).accuracy


@pytest.mark.parametrize("classes", [2, 11, 60])
def test_the_confusion_matrix_draws_itself(classes, tmp_path):
    labels = np.arange(3 * classes) % classes
    labels[labels == 1] = 0  # one class has no example
    report = class_report(labels, labels[::-1].copy(), [f"class {i}" for i in range(classes)])
    picture = report.plot(tmp_path / "confusion.png")
    assert (tmp_path / "confusion.png").stat().st_size > 1000
    ax = picture.figure.axes[0]
    shares = np.array(ax.images[0].get_array())
    assert shares.sum(axis=1) == pytest.approx([float(n > 0) for n in report.support])
    written = [text.get_text() for text in ax.texts]
    assert written == [str(n) for n in report.confusion.ravel() if classes <= 10]
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert (names == list(report.names)) == (classes <= 40)


def test_plain_tokens_are_predicted_without_padding():
    tokens = np.random.default_rng(0).integers(1, 9, (7, 5))
    tokens[:, 3:] = 0  # which this network does not treat as padding
    network = Network([Embedding(9, 6), SelfAttention(6, 2), FirstToken(), Dense(6, 3)], (5,))
    assert (predict_labels(network, tokens) == network.predict(tokens).argmax(axis=1)).all()


ERRORS = [
    (([0, 1], [0], 2), "as many predictions as labels, got 1 for 2"),
    (([], [], 2), r"labels to be integers \(N,\) with N of at least 1, got float64 \(0,\)"),
    (([0, 1], [0.0, 1.0], 2), r"predictions to be integers \(N,\).*got float64 \(2,\)"),
    (([0, 1], [[0, 1], [1, 0]], 2), r"predictions to be integers .*got int64 \(2, 2\)"),
    (([0, 2], [0, 1], 2), "labels from 0 to 1, got 0 to 2"),
    (([0, 1], [0, -1], 2), "predictions from 0 to 1, got -1 to 0"),
]


def test_errors():
    for (labels, predictions, classes), message in ERRORS:
        with pytest.raises(ValueError, match=f"confusion_matrix: expected {message}"):
            confusion_matrix(np.array(labels), np.array(predictions), classes)
