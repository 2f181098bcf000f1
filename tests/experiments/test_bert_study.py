"""The BERT study with a network of two narrow blocks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import small_studies
import study_runs
from small_studies import WORDS
from small_studies import bert_source as source
from small_studies import bert_texts as texts
from studies.bert import STUDY, parts, training
from studies.bert import study as bert
from studies.bert.claims import BEST, CLAIMS, IS_DESTROYED, LEARN, ONE_ANSWER, VANISHES
from studies.bert.networks import MAJORITY, Figures, Network, majority_f1, published
from studies.bert.training import (
    FUNCTIONS,
    Cell,
    before,
    build_network,
    cells,
    likeness,
    originals,
    split,
)

from minidl.backend import CPU
from minidl.data.glue import load_texts
from minidl.data.places import cache
from minidl.microscope.run import snapshots_of
from minidl.models import load_bert
from minidl.study import judge
from minidl.study.report import read_rows, read_summary


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Of two seeds, with snapshots."""
    folder = tmp_path_factory.mktemp("bert")
    return small_studies.run("bert", folder, "--seeds", "2", "--record", "--quiet")


@pytest.fixture(scope="module")
def networks(folder):
    return read_summary(folder)["networks"]


@pytest.mark.slow
def test_what_is_trained_and_reported(folder, networks):
    found = read_summary(folder)
    assert [len(claims) for claims in found["claims"].values()] == [len(CLAIMS)] * 2
    expected = list(cells(range(2)))
    assert [cell.seed for cell in expected].count(1) == 2 * len(training.REPEATED)
    assert [(b["data"], b["row"], b["way"], b["seed"]) for b in networks] == expected
    for block in networks:
        assert np.sum(block["confusion"]) == 1000
        assert np.shape(block["before"]["change"]) == (4, 2)
        assert np.shape(block["before"]["gradients"]) == (4, 3)
        assert np.shape(block["gradients"]) == (1, 3)
    assert len(read_rows(folder, "epochs.csv")) == len(expected)
    names = {chart.file for chart in STUDY.report_of(folder).charts()}
    assert names == {"scores", "change", "likeness", "gradients"}
    report = (folder / "report.md").read_text("utf-8")
    assert "Not the study's size: a network" not in report
    assert "MiniLM encoder of 2 blocks × 8" in report and "64 of 7,551 training" in report
    assert "| ReLU | 0.712 | 0.7192 | both |" in report
    assert "| Tanh | 0.708 | 0.5870 | one class |" in report


@pytest.mark.slow
def test_the_network_with_its_own_function_is_unchanged_before_the_first_step(networks):
    for block in networks:
        change = np.array(block["before"]["change"])
        is_own = block["row"] == "GELU" and block["way"] != "fresh"
        assert (change == 0).all() if is_own else (change > 0).all()


@pytest.mark.slow
def test_a_recorded_run_keeps_the_attention_with_its_words(folder):
    first, *_ = snapshots_of(folder)
    assert first.name == "cola-ELU-as_run-seed0"
    assert [snapshot.epoch for snapshot in first.snapshots] == [0, 1]
    with pytest.MonkeyPatch.context() as patch:
        small_studies.shrink(patch, "bert")
        tokens = training.tokens("cola", None, source(), 64)
    assert first.snapshots[0].tokens == [WORDS[i] for i in tokens.train.inputs[0] if i]
    assert [seen.P.shape[0] for seen in first.snapshots[1].attention] == [2, 2]


def test_other_weights_are_other_data(monkeypatch):
    small_studies.shrink(monkeypatch, "bert")
    one = training.tokens("cola", None, source(), 64)
    other = source()
    other.tensors["pooler.dense.bias"][0] += 1
    assert training.tokens("cola", None, other, 64).digest() != one.digest()


def test_without_a_network_the_error_names_the_way_out(tmp_path):
    pytest.importorskip("safetensors", reason="pretrained weights are read with safetensors")
    with pytest.raises(Exception, match=r"(?s)MiniLM is not in .*--weights FILE"):
        study_runs.run(STUDY, tmp_path / "run", "--data-dir", str(tmp_path), "--quiet")
    with pytest.raises(ValueError, match=r"no such file; put model\.safetensors"):
        study_runs.run(STUDY, tmp_path / "run", "--weights", str(tmp_path / "x"), "--quiet")


def test_without_safetensors_the_error_names_the_way_out(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "safetensors", None)
    with pytest.raises(ValueError, match=r"not installed .*pip install"):
        study_runs.run(STUDY, tmp_path / "run", "--quiet")


# -- the networks -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "way"),
    [("ELU", "as_run"), ("GELU", "fresh"), ("SwiGLU", "as_run"), ("SwiGLU", "as_described")],
)
def test_what_of_the_pretrained_network_each_one_keeps(row, way):
    own, network = load_bert(source()), build_network(source(), Cell("cola", row, way, 0), CPU)
    others = [
        layer.name
        for (layer, _, ours, _), (_, _, theirs, _) in zip(
            network.parameters(), own.parameters(), strict=True
        )
        if not np.array_equal(ours, theirs)
    ]
    second = {f"block_{i}.feed_forward.dense_2" for i in (1, 2)}
    gated = row in ("GLU", "SwiGLU")
    changed = second if gated or way == "fresh" else set()
    assert set(others) - {"classifier"} == changed
    if gated and way == "as_described":
        for name in second:
            np.testing.assert_array_equal(network[name].W, own[name].W[:6])
            np.testing.assert_array_equal(network[name].b, own[name].b)


def test_squares_as_run_and_rectified_as_described():
    run, described = (
        build_network(source(), Cell("cola", "ReLU_2", way, 0), CPU)["block_1.feed_forward.dense_1"]
        for way in ("as_run", "as_described")
    )
    z = np.array([-2.0, 3.0])
    assert run.f(z).tolist() == [4, 9]
    assert described.f(z).tolist() == [0, 9]


def test_likeness():
    assert likeness(np.array([[1.0, 0], [2, 0], [3, 0]])) == pytest.approx(1)
    assert likeness(np.array([[1.0, 0], [0, 2]])) == pytest.approx(0)
    assert likeness(np.array([[1.0, 0], [-2, 0]])) == pytest.approx(-1)


def test_padding_does_not_count_in_the_change():
    some = texts("cola").train.take(np.arange(64)).tokens(source().tokenizer())
    original = originals(source(), some, CPU)
    network = build_network(source(), Cell("cola", "Tanh", "as_run", 0), CPU)
    found = before(network, some, original)
    x, _ = some.batch(0, 16, network.dtype)
    network.forward(x)
    own = load_bert(source())
    own.forward(x)
    y, y_0 = (n["block_2"].y[x != 0] for n in (network, own))
    expected = np.sqrt(((y - y_0) ** 2).sum() / (y_0**2).sum())
    assert found.change[0][1] == pytest.approx(expected, rel=1e-5)


# -- the data ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MAJORITY)
def test_the_test_sentences_are_those_of_the_study(name):
    """Its majority shares, 0.708 and 0.558, are the accuracies of the rows that did not learn."""
    texts = glue(name)
    train, test = split(texts)
    assert len(train) + len(test) == len(texts) and len(test) == 1000
    assert test.labels.mean() == pytest.approx(MAJORITY[name], abs=1e-12)
    assert len(train) == bert.SENTENCES[name]


def glue(name):
    from minidl.data import DatasetNotFound

    try:
        return load_texts(name).train
    except DatasetNotFound as error:
        pytest.skip(f"without the data set: {error.reason} ({cache()})")


def test_majority_f1_is_what_was_published():
    assert [round(majority_f1(share), 4) for share in MAJORITY.values()] == [0.5870, 0.3997]


# -- the claims -------------------------------------------------------------------------------


def network(accuracy=0.8, rarer=0.3, f1=None, change=0.1, ratio=1.0, seconds=1.0):
    """One of our own, whose first block has ``ratio`` of the classifier's gradient."""
    noise = np.linspace(0.99, 1.01, 4)[:, None]
    return Network(
        accuracy,
        accuracy if f1 is None else f1,
        rarer,
        0.5,
        change * noise * np.ones((4, 2)),
        noise * np.array([ratio, ratio, 1.0]),
        seconds,
        (seconds,) * 3,
    )


def figures(**failing) -> Figures:
    """GELU, ReLU and leaky ReLU learn; the others, ``failing``, answer the frequent class."""
    found = {}
    for data, share in MAJORITY.items():
        for row in FUNCTIONS:
            bad = {"accuracy": share, "rarer": 0.0, "f1": majority_f1(share)} | failing
            found[data, row] = network() if row in LEARN else network(**bad)
    return Figures(found)


def verdict(claim, *runs):
    statement = next(one for one in CLAIMS if one.claim == claim)
    (judged,) = judge([statement], published(), list(runs))
    return judged


def test_what_was_published_under_the_same_criteria():
    claims = {claim.claim: claim.published for claim in judge(CLAIMS, published(), [figures()])}
    assert claims[BEST].startswith("CoLA GELU 0.806, best other: ReLU 0.712; SST-2 GELU 0.945")
    assert claims[BEST].endswith("(within chance)")
    learn = claims["GELU, ReLU and leaky ReLU learn"]
    assert learn.startswith("CoLA ReLU 0.7192, GELU 0.7938, LReLU 0.6345") and "not" not in learn
    assert claims[ONE_ANSWER] == "CoLA 8 of 8 give one answer; SST-2 8 of 8 give one answer"
    assert claims[VANISHES] == claims[IS_DESTROYED] == "not reported"


@pytest.mark.parametrize(
    ("failing", "vanishes", "destroyed", "said"),
    [
        ({"ratio": 0.01}, "holds", "does not hold", "the gradient vanishes"),
        ({"change": 1.2}, "does not hold", "holds", "destroyed before the first step"),
        ({"change": 1.2, "ratio": 0.01}, "holds", "holds", "destroyed, and the gradient vanishes"),
        ({}, "does not hold", "does not hold", "neither"),
        ({"ratio": 0.0}, "not decided", "does not hold", "not known"),
    ],
)
def test_vanishing_gradient_or_destroyed_representation(failing, vanishes, destroyed, said):
    found = figures(**failing)
    assert verdict(VANISHES, found).verdict == vanishes
    assert verdict(IS_DESTROYED, found).verdict == destroyed
    assert parts.cause(found, "cola", "Tanh") == said


def test_nothing_is_asked_of_networks_that_learn():
    found = figures(accuracy=0.7, rarer=0.3, f1=0.7)
    assert verdict(ONE_ANSWER, found).verdict == "does not hold"
    for claim in (VANISHES, IS_DESTROYED):
        assert verdict(claim, found).verdict == "not judged"


def test_seeds_with_a_few_networks_count_where_they_can():
    whole = figures()
    fresh = {data: network(accuracy=0.6) for data in MAJORITY}
    some = {of: n for of, n in whole.networks.items() if of[1] in ("GELU", "ReLU", "Tanh")}
    runs = [replace(whole, fresh=fresh), Figures(some, fresh), Figures(some, fresh)]
    assert verdict(BEST, *runs).measured == verdict(BEST, runs[0]).measured
    control = verdict(
        "Beyond the study: GELU itself loses accuracy with new output matrices", *runs
    )
    assert control.verdict == "holds" and "first of 3 seeds" in control.measured


@pytest.mark.parametrize(("told", "said"), [("yes", "Yes: "), ("no", "No: ")])
def test_the_answer_follows_from_the_verdicts(told, said):
    blocks = [
        {"data": data, "row": row, "way": way, "matthews": 0.25}
        for data in MAJORITY
        for row, way in (("GELU", "as_run"), ("GELU", "fresh"))
    ]
    summary = {"networks": blocks}
    answer = bert.answer(summary, figures(ratio=0.01), told)
    assert answer.startswith(said) and "in 16 of the 16 networks" in answer
    assert "0.25 with GELU" in answer
    nobody = bert.answer(summary, figures(accuracy=0.7, rarer=0.3), told)
    assert nobody.startswith("Not judged")
