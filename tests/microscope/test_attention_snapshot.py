"""Attention in the microscope: what is kept, and the page that shows which token attends where."""

from __future__ import annotations

import json

import numpy as np
import pytest
from browser import Watch, serious_faults, sticks_out

from minidl import Dense, Embedding, LayerNorm, Network, SoftmaxCrossEntropy
from minidl.layers import EncoderBlock, FirstToken
from minidl.microscope.attention_snapshot import TOKENS
from minidl.microscope.backward_signal import factors
from minidl.microscope.page import microscope_page, network_colours
from minidl.microscope.run import snapshots_of
from minidl.microscope.snapshot import Z_EDGES, take_snapshot
from minidl.microscope.snapshot_file import Recorder, SnapshotError, read_snapshot
from minidl.pages.colours import function_colour

WORDS = ("[PAD]", "[CLS]", "a", "<b>", "see", "saw")
X = np.array([[1, 4, 3, 2, 0, 0], [1, 5, 2, 3, 4, 1], [1, 2, 0, 0, 0, 0]])
LABELS = np.array([0, 1, 1])
LOSS = SoftmaxCrossEntropy()


def bert(longest: int = 40) -> Network:
    tokens = Embedding(len(WORDS), 8, padding=0)
    blocks = [EncoderBlock(8, 2, 12, f, tokens=tokens) for f in ("gelu", "relu")]
    layers = [tokens, LayerNorm(8), *blocks, FirstToken(), Dense(8, 2)]
    network = Network(layers, (longest,), rng=3)
    network.theta *= 1.5  # so that no token attends to all alike
    return network


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    Recorder(folder / "microscope" / "bert", WORDS).record(bert(), LOSS, X, LABELS, 0)
    return folder


def snapshot_of(run):
    return read_snapshot(run / "microscope" / "bert" / "epoch-0000.npz")


def test_what_is_kept_is_the_attention_of_the_first_sentence(run):
    snapshot, network = snapshot_of(run), bert()
    network.forward(X)
    assert snapshot.tokens == ["[CLS]", "see", "<b>", "a"]  # without its padding
    names = ["encoderblock_1.attention", "encoderblock_2.attention"]
    assert [seen.name for seen in snapshot.attention] == names
    for seen in snapshot.attention:
        P = network[seen.name].P[0, :, :4, :4]
        assert P.sum(axis=-1) == pytest.approx(1, abs=1e-6)
        np.testing.assert_allclose(seen.P / 255, P, atol=0.5001 / 255)
        assert len(np.unique(seen.P)) > 10


def test_a_long_sentence_is_cut_and_tokens_without_words_are_numbers():
    snapshot = take_snapshot(bert(), LOSS, np.ones((2, 40), int), LABELS[:2], 0)
    assert snapshot.tokens == ["1"] * TOKENS
    assert snapshot.attention[0].P.shape == (2, TOKENS, TOKENS)


def test_a_sentence_of_nothing_but_padding_is_shown_as_one_token(tmp_path):
    with np.errstate(all="ignore"):
        Recorder(tmp_path / "microscope" / "bert", WORDS).record(bert(), LOSS, 0 * X, LABELS, 0)
    snapshot = snapshot_of(tmp_path)
    assert snapshot.tokens == ["[PAD]"]
    assert snapshot.attention[0].P.shape == (2, 1, 1)


def test_units_of_a_layer_on_sentences_are_its_features(run):
    snapshot, network = snapshot_of(run), bert()
    network.forward(X)
    layer = next(la for la in snapshot.layers if la.name.endswith("1.feed_forward.dense_1"))
    dense = network[layer.name]
    assert layer.units == 12 and layer.z_counts[0].sum() == X.size * 12
    expected = np.histogram(dense.z[..., layer.shown[3]], Z_EDGES)[0]
    assert layer.z_counts[4].tolist() == expected.tolist()
    slopes = dense.f.derivative(dense.z, dense.y).mean(axis=(0, 1))
    np.testing.assert_allclose(layer.slope, slopes, rtol=1e-5)


def test_each_block_has_the_factor_that_it_multiplies_onto_the_signal(run):
    snapshot, network = snapshot_of(run), bert()
    _, d = LOSS(network.forward(X), LABELS, "sum")
    norms = {}
    for layer in reversed(network.layers[1:]):
        before = d
        d = layer.backward(d)
        norms[layer.name] = np.linalg.norm(d) / np.linalg.norm(before)
    told = {
        stop.layer: factor
        for stop, factor in zip(snapshot.signal[1:], factors(snapshot.signal), strict=True)
        if stop.through == "layer"
    }
    for name in ("encoderblock_1", "encoderblock_2"):
        assert told[name] == pytest.approx(norms[name], rel=1e-5)


def test_a_network_has_the_colour_of_the_function_in_its_blocks(run):
    assert network_colours(snapshots_of(run)) == [function_colour("gelu")]


REFUSED = [
    ("tokens", ["a"] * (TOKENS + 1)),
    ("tokens", [1, 2, 3, 4]),
    ("tokens", ["a"]),  # P has another shape
    ("tokens", []),
    ("attention", [["encoderblock_1.attention", 2]] * 2),
    ("attention", [["encoderblock_1.attention", 0]]),
    ("attention", [["encoderblock_1.attention", "2"]]),
    ("attention", [["encoderblock_1.attention"]]),
    ("attention", [["elsewhere", 2]]),
    ("attention", {}),
]


def test_a_manifest_that_is_wrong_about_attention_is_refused(run, tmp_path):
    with np.load(run / "microscope" / "bert" / "epoch-0000.npz") as file:
        arrays = dict(file)
    for key, value in REFUSED:
        manifest = json.loads(str(arrays["manifest"])) | {key: value}
        np.savez(tmp_path / "snapshot.npz", **arrays | {"manifest": np.array(json.dumps(manifest))})
        with pytest.raises(SnapshotError, match="expected a snapshot as --record writes it"):
            read_snapshot(tmp_path / "snapshot.npz")


# -- in a browser -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def opened(chromium, run):
    microscope_page(run).write(run / "page.html")
    watch = Watch(chromium)
    page = watch.open(run / "page.html")
    page.wait_for_selector("#snapshots .attention .pixels")
    yield page
    watch.close()
    assert watch.complaints == []
    assert watch.requests == []


def choose(page, block: int, head: int) -> None:
    for place, choice in enumerate((block, head)):
        page.locator(".attention .controls fieldset").nth(place).locator("label").nth(
            choice
        ).click()


def shown(page) -> np.ndarray:
    """The table behind the picture, in per cent."""
    figure = page.locator(".attention figure")
    if not figure.locator("table").is_visible():
        figure.get_by_role("button", name="Table").click()
    rows = [row.locator("td").all_inner_texts() for row in figure.locator("tbody tr").all()]
    return np.array([[float(cell.rstrip("%")) for cell in row] for row in rows])


@pytest.mark.browser
def test_every_head_of_every_block_is_shown_as_it_was_kept(opened, run):
    for block, seen in enumerate(snapshot_of(run).attention):
        for head, P in enumerate(seen.P):
            choose(opened, block, head)
            title = opened.locator(".attention figure h4").inner_text()
            assert title == f"{seen.name}, head {head + 1}"
            np.testing.assert_allclose(shown(opened), 100 * (P / 255), rtol=6e-4, atol=1e-3)
            rgb = opened.locator(".attention canvas").evaluate(
                "c => [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]"
            )
            blue = np.array(rgb).reshape(4, 4, 4)[..., 2]  # the darker, the less of it
            order = np.argsort(P.ravel(), kind="stable")
            assert (np.diff(blue.ravel()[order].astype(int)) <= 0).all()


@pytest.mark.browser
def test_a_place_says_which_token_attends_where(opened, run):
    choose(opened, 0, 1)
    P = snapshot_of(run).attention[0].P[1]
    pixels = opened.locator(".attention .pixels")
    pixels.focus()
    for key in ("Home", "ArrowDown", "ArrowRight", "ArrowRight"):
        opened.keyboard.press(key)
    said = pixels.get_attribute("aria-valuetext")
    assert said.startswith("see attends to <b>: ")
    assert float(said.split()[-1].rstrip("%")) == pytest.approx(100 * (P[1, 2] / 255), rel=6e-4)
    assert opened.locator(".attention .reading").inner_text() == said
    box, word = pixels.bounding_box(), opened.locator(".attending .rows span").nth(1).bounding_box()
    middle = word["y"] + word["height"] / 2
    assert middle == pytest.approx(box["y"] + box["height"] * 1.5 / 4, abs=4)


@pytest.mark.browser
def test_the_choice_keeps_the_focus_and_nothing_sticks_out(opened):
    heads = opened.locator(".attention .controls fieldset").nth(1).locator("input")
    heads.first.focus()
    opened.keyboard.press("ArrowRight")
    assert opened.evaluate("document.activeElement.closest('.attention') !== null")
    assert heads.nth(1).is_checked()
    opened.set_viewport_size({"width": 390, "height": 740})
    opened.wait_for_timeout(200)
    assert sticks_out(opened) == 0
    assert serious_faults(opened) == []
