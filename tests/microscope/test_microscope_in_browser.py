"""The microscope as a reader meets it: what is shown is what was recorded."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from browser import Watch, serious_faults, sticks_out

from minidl import Dense, Network, SoftmaxCrossEntropy
from minidl.microscope.backward_signal import factors
from minidl.microscope.page import microscope_page
from minidl.microscope.snapshot import spread_out
from minidl.microscope.snapshot_file import Recorder, read_snapshot
from minidl.microscope.walkthrough import walks

pytestmark = pytest.mark.browser

RESET = """() => {
  const click = (selector) => document.querySelector(selector).click();
  click("#snapshots .which input[type=radio]");
  const slider = document.querySelector("#snapshots input[type=range]");
  slider.value = slider.max;
  slider.dispatchEvent(new Event("input"));
  click("#snapshots .layers input");
  click("#snapshots .units input");
  click("#snapshots .view .controls input");
  click("#steps .controls input");
  click("#steps .walk button:last-of-type");
  document.activeElement.blur();
}"""


@pytest.fixture(scope="module")
def opened(chromium, small_run, tmp_path_factory):
    """One window for all tests, which complains of nothing and asks for nothing."""
    path = tmp_path_factory.mktemp("page") / "microscope.html"
    microscope_page(small_run).write(path)
    watch = Watch(chromium)
    page = watch.open(path)
    page.wait_for_selector("#snapshots .histograms svg")
    assert page.locator(".attention figure").count() == 0  # this network has none
    yield page
    watch.close()
    assert watch.complaints == []
    assert watch.requests == []


@pytest.fixture
def page(opened):
    """The window as it was at first: relu, epoch 2, the first layer and unit, the whole step."""
    opened.set_viewport_size({"width": 1280, "height": 900})
    opened.emulate_media(color_scheme="light", media="screen")
    opened.evaluate(RESET)
    opened.locator(".signal h3", has_text="epoch 2").wait_for()
    opened.mouse.move(0, 0)
    return opened


def snapshot_of(small_run, network="relu", epoch=2):
    return read_snapshot(small_run / "microscope" / network / f"epoch-{epoch:04}.npz")


def read(text):
    """The number in a text as it is shown: four digits, a true minus, a dash for none."""
    found = re.search(r"[−-]?\d[\d.,]*(e[+−-]?\d+)?", text)
    return float(found[0].replace("−", "-").replace("e+", "e")) if found else math.nan


def shown_as(value):
    return pytest.approx(value, rel=6e-4, abs=1e-12)


def colours_in(said):
    """The place in a reading, and its values of red, green and blue."""
    place, _, values = said.partition("w = ")
    assert values.startswith("red ")
    return place, [read(text.split()[-1]) for text in values.split(", ")]


def signal_rows(page):
    rows = page.locator("#snapshots .signal tbody tr").all()
    return [row.locator("th, td").all_inner_texts() for row in rows]


def liveliest(layer):
    return layer.shown[np.argmax(layer.gradient[layer.shown])]


def test_it_opens_on_a_unit_with_a_large_gradient_where_others_are_dead(chromium, tmp_path):
    rng = np.random.default_rng(5)
    network = Network([Dense(30, 20, "relu"), Dense(20, 20, "relu"), Dense(20, 4)], 30)
    first, second = network.layers[:2]
    first.b[spread_out(20, 30)] = -100  # all that have pictures
    second.b[:3] = -100
    x, labels = rng.normal(size=(16, 30)).astype(np.float32), rng.integers(0, 4, 16)
    Recorder(tmp_path / "microscope" / "relu").record(network, SoftmaxCrossEntropy(), x, labels, 0)
    microscope_page(tmp_path).write(tmp_path / "page.html")
    layer = snapshot_of(tmp_path, epoch=0).layers[1]
    assert layer.gradient[0] == 0 < layer.gradient[liveliest(layer)]
    watch = Watch(chromium)
    page = watch.open(tmp_path / "page.html")
    page.wait_for_selector("#snapshots .histograms svg")
    assert page.locator(".facts h3").inner_text() == f"Unit {liveliest(layer)} of dense_2"
    assert page.locator("#snapshots .layers input:checked").get_attribute("value") == "1"
    watch.close()


def test_the_table_of_the_signal_has_the_recorded_norms_and_factors(page, small_run):
    snapshot = snapshot_of(small_run)
    rows = signal_rows(page)
    assert [row[0] for row in rows] == [f"∂L/∂ {stop.array}" for stop in snapshot.signal]
    assert [read(row[4]) for row in rows] == [shown_as(stop.norm) for stop in snapshot.signal]
    assert [read(row[2]) for row in rows[1:]] == list(map(shown_as, factors(snapshot.signal)))
    predicted = [shown_as(stop.predicted) for stop in snapshot.signal[1:]]
    assert [read(row[3]) for row in rows[1:]] == predicted
    assert rows[0][2:4] == ["", ""]
    left = 100 * snapshot.signal[-1].norm / snapshot.signal[0].norm
    assert read(rows[-1][5]) == shown_as(left)
    assert rows[1][1] == "f′ of dense_3"
    assert rows[2][1] == "the weights of dense_3"


def test_the_signal_is_a_line_and_predicted_factors_lie_beside_the_measured_ones(page, small_run):
    signal = page.locator("figure.chart").first
    assert signal.locator("g.line path").count() == 2  # the stops are joined
    assert signal.locator("g.dots circle").count() == 12
    chart = page.locator("#predicted-and-measured figure.chart")
    assert chart.locator("h4").all_inner_texts() == ["relu", "sigmoid"]
    assert chart.locator("g.line path").count() == 4
    chart.get_by_role("button", name="Table").click()
    rows = [row.locator("td").all_inner_texts() for row in chart.locator("tbody tr").all()]
    slopes = [s for s in snapshot_of(small_run, "relu", 0).signal if s.through == "slope"]
    assert [read(row[0]) for row in rows] == [shown_as(s.predicted) for s in reversed(slopes)]


def test_network_and_epoch_are_chosen_by_mouse_and_keyboard(page, small_run):
    slider = page.locator("#snapshots input[type=range]")
    slider.focus()
    page.keyboard.press("Home")
    page.locator(".signal h3", has_text="epoch 0").wait_for()
    assert slider.get_attribute("aria-valuetext") == "epoch 0"
    assert page.locator(".facts h3").inner_text() == "Unit 0 of dense_1"  # the same unit
    page.locator("#snapshots .which").get_by_text("sigmoid").click()
    page.locator(".signal h3", has_text="sigmoid").wait_for()
    snapshot = snapshot_of(small_run, "sigmoid", 0)
    unit = liveliest(snapshot.layers[0])
    assert page.locator(".facts h3").inner_text() == f"Unit {unit} of dense_1"
    norms = [read(row[4]) for row in signal_rows(page)]
    assert norms == [shown_as(stop.norm) for stop in snapshot.signal]
    slider.focus()
    page.keyboard.press("ArrowRight")
    page.locator(".signal h3", has_text="epoch 1").wait_for()
    assert page.evaluate("document.activeElement.type") == "range"


def test_a_picture_is_drawn_from_the_recorded_levels_and_read_off_by_arrow_keys(page, small_run):
    layer = snapshot_of(small_run).layers[0]
    picture = page.locator(".pictures .pixels").first
    rgb = picture.locator("canvas").evaluate(
        "canvas => [...canvas.getContext('2d').getImageData(0, 0, 6, 6).data]"
    )
    levels = layer.W[0].astype(int)  # (3, 6, 6)
    expected = np.floor(255 * (levels + 127) / 254 + 0.5).transpose(1, 2, 0)
    assert np.array_equal(np.array(rgb).reshape(6, 6, 4)[..., :3], expected)
    picture.focus()
    page.keyboard.press("End")
    page.keyboard.press("ArrowUp")
    said = picture.get_attribute("aria-valuetext")
    place, weights = colours_in(said)
    assert place == "row 5, column 6: "
    assert weights == list(map(shown_as, (levels[:, 4, 5] * layer.W_scale[0]).tolist()))
    assert page.locator(".pictures .reading").first.inner_text() == said


def test_the_pointer_reads_a_gradient_off_and_a_frame_shows_where(page, small_run):
    layer = snapshot_of(small_run).layers[0]
    picture = page.locator(".pictures .pixels").nth(1)
    picture.scroll_into_view_if_needed()
    box = picture.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 2.5 / 6, box["y"] + box["height"] * 3.5 / 6)
    place, found = colours_in(page.locator(".pictures .reading").nth(1).inner_text())
    assert place == "row 4, column 3: ∂L/∂"
    assert found == list(map(shown_as, (layer.dW[0, :, 3, 2] * layer.dW_scale[0]).tolist()))
    frame = picture.locator(".frame").bounding_box()
    assert frame["x"] == pytest.approx(box["x"] + box["width"] * 2 / 6, abs=2)


def test_layer_and_unit_are_chosen_by_keyboard_and_their_figures_shown(page, small_run):
    page.locator("#snapshots .layers input").first.focus()
    page.keyboard.press("ArrowRight")
    layer = snapshot_of(small_run).layers[1]
    assert page.locator(".facts h3").inner_text() == f"Unit {liveliest(layer)} of dense_2"
    page.locator("#snapshots .units input").first.focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    unit = layer.shown[3]
    assert page.locator(".facts h3").inner_text() == f"Unit {unit} of dense_2"
    assert page.evaluate("document.activeElement.value") == "3"
    facts = page.locator(".facts dd").all_inner_texts()
    assert facts[:2] == ["max(0, z)", "1 for z > 0, else 0"]
    found = [read(half) for fact in facts[2:5] for half in re.split(";| and ", fact)]
    slopes, gradient, b = (layer.slope[unit], layer.slope.mean()), layer.gradient[unit], layer.b[3]
    assert found[:3] == list(map(shown_as, [*slopes, gradient]))
    assert found[-2:] == list(map(shown_as, [b, layer.db[3]]))


@pytest.mark.parametrize("row", [0, 1])
def test_histograms_have_the_recorded_counts(page, small_run, row):
    layer = snapshot_of(small_run).layers[0]
    if row == 0:
        page.get_by_text("all units of the layer").click()
    figures = page.locator(".histograms figure").all()
    recorded = layer.z_counts[row], layer.dW_counts[row], layer.y_counts[row]
    for figure, counts in zip(figures, recorded, strict=True):
        figure.get_by_role("button", name="Table").click()
        cells = [tr.locator("th, td").all_inner_texts() for tr in figure.locator("tbody tr").all()]
        assert [int(cell[1].replace(",", "")) for cell in cells] == counts.tolist()
        shares = counts / counts.sum() * 100
        assert [read(cell[2]) for cell in cells] == [shown_as(share) for share in shares]
    assert cells[0][0] == "below 0"
    assert cells[1][0] == "0 to 0.25"
    assert cells[-1][0] == "10 or more"


def test_a_histogram_is_read_off_by_pointer_and_keys_over_f_and_its_slope(page, small_run):
    layer = snapshot_of(small_run).layers[0]
    plot = page.locator(".histograms .plot").first
    assert plot.locator("svg").count() == 3  # the histogram, f and f'
    plot.focus()
    page.keyboard.press("End")
    for _ in range(21):
        page.keyboard.press("ArrowLeft")
    count = layer.z_counts[1, 20]
    said = plot.get_attribute("aria-valuetext")
    assert said.startswith(f"z −0.5 to 0: {count} of 16, ")
    box = plot.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 60)
    assert re.match(
        r"z \S+ to \S+: \d+ of 16, ", page.locator(".histogram .reading").first.inner_text()
    )


def cell_of(page, name):
    return page.locator(f".number[aria-label^='{name} = ']")


def cells_of(page, kind):
    return {
        cell.get_attribute("aria-label").partition(" = ")[0]
        for cell in page.locator(f".number.{kind}").all()
    }


def test_every_number_of_the_step_is_shown_and_says_what_it_was_made_of(page):
    for choice, walk in enumerate(walks()):
        page.locator("#steps .controls").first.locator("label").nth(choice).click()
        cells = [cell for table in walk.tables for row in table.rows for cell in row]
        labels = page.locator(".number").evaluate_all("all => all.map(n => n.ariaLabel)")
        numbers = {label.partition(" = ")[0]: read(label.partition(" = ")[2]) for label in labels}
        assert numbers == {cell.name: shown_as(cell.value) for cell in cells}
        for cell in cells[::9]:
            cell_of(page, cell.name).hover()
            assert cells_of(page, "chosen") == {cell.name}
            assert cells_of(page, "source") == set(re.findall(r"\{(.+?)\}", cell.formula))


def test_the_arithmetic_is_written_out(page):
    cell_of(page, "z⁽¹⁾₂").hover()
    assert page.locator(".why p").all_inner_texts() == [
        "z⁽¹⁾₂ = x₁ · W⁽¹⁾₁₂ + x₂ · W⁽¹⁾₂₂ + b⁽¹⁾₂",
        "= 1 · (−0.3) + 0.5 · 0.7 + (−0.4)",
        "= −0.35",
    ]
    cell_of(page, "W⁽²⁾₃₁").hover()
    assert page.locator(".why p").all_inner_texts() == ["W⁽²⁾₃₁ = −0.7", "given: weights"]


def test_the_step_goes_forward_and_back_array_by_array(page):
    steps = page.locator("#steps")
    assert steps.locator(".array:visible").count() == 22
    steps.get_by_role("button", name="Start").click()
    assert steps.locator(".now").inner_text() == "1 of 17: z⁽¹⁾ = x W⁽¹⁾ + b⁽¹⁾, pre-activations"
    assert steps.locator(".array:visible").count() == 6  # what is given, and z
    steps.get_by_role("button", name="Next").press("Enter")
    assert steps.locator(".now").inner_text() == "2 of 17: y⁽¹⁾ = σ(z⁽¹⁾), activations"
    assert cells_of(page, "source") == {"z⁽¹⁾₁"}
    steps.get_by_role("button", name="Back").click()
    steps.get_by_role("button", name="Back").click()
    assert steps.locator(".array:visible").count() == 6
    steps.get_by_role("button", name="All").click()
    assert steps.locator(".array:visible").count() == 22


def test_arrow_keys_go_from_number_to_number_among_those_to_be_seen(page):
    page.locator("#steps").get_by_role("button", name="Start").click()
    cell_of(page, "x₁").focus()
    for key, name in (("ArrowRight", "x₂"), ("ArrowRight", "W⁽¹⁾₁₁"), ("End", "b⁽²⁾₂")):
        page.keyboard.press(key)
        assert page.evaluate("document.activeElement.ariaLabel").startswith(f"{name} = ")
        assert cells_of(page, "chosen") == {name}
    page.keyboard.press("ArrowRight")  # the last one so far
    assert cells_of(page, "chosen") == {"b⁽²⁾₂"}
    assert page.locator(".number[tabindex='0']").count() == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault_in_the_microscope(page, scheme):
    page.emulate_media(color_scheme=scheme)
    page.locator(".histograms").get_by_role("button", name="Table").first.click()
    page.locator(".pictures .pixels").first.focus()
    page.keyboard.press("End")
    cell_of(page, "dz⁽¹⁾₂").hover()
    assert serious_faults(page) == []


def test_on_small_screens_nothing_sticks_out_and_no_table_is_cut(page):
    for width in (768, 390, 320):
        page.set_viewport_size({"width": width, "height": 844})
        drawn = page.locator(".histograms svg").first
        while int(drawn.get_attribute("width")) > width:  # drawn anew once it is noticed
            page.wait_for_timeout(20)
        assert sticks_out(page) == 0
        if width == 390:  # a phone
            for box in page.locator(".signal .scroll, .histogram .scroll").all():
                assert box.evaluate("box => box.scrollWidth - box.clientWidth") == 0
            row = page.locator(".signal tbody tr").nth(2)
            assert row.locator("td").last.locator(".strength").bounding_box()["width"] > 20


TEXTS = "p, h2, h3, h4, th, td, button, caption"
COVERED = """(texts) => [...document.querySelectorAll(`main :is(${texts})`)]
  .filter((node) => node.checkVisibility() && node.textContent.trim())
  .map((node) => [node, node.getBoundingClientRect()])
  .filter(([, box]) => box.top >= 0 && box.bottom <= innerHeight)
  .filter(([node, box]) => {
    const seen = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
    return !node.contains(seen) && !seen.contains(node);
  })
  .map(([node]) => node.textContent)"""


def test_nothing_covers_anything_else(page):
    cell_of(page, "dz⁽¹⁾₂").hover()
    for top in range(0, page.evaluate("document.body.scrollHeight"), 400):
        page.evaluate(f"scrollTo(0, {top})")
        assert page.evaluate(COVERED, TEXTS) == []
    for choice in page.locator("#steps .controls").first.locator("label").all():
        choice.click()
        assert page.locator(".sheet").evaluate("node => node.scrollWidth - node.clientWidth") == 0
        assert page.evaluate(COVERED, TEXTS) == []


def test_on_paper_there_are_pictures_histograms_and_the_step_without_buttons(page):
    page.emulate_media(media="print")
    for seen in (".pictures canvas", ".histograms svg", ".array"):
        assert page.locator(seen).first.is_visible()
    assert not page.get_by_role("button", name="Next").is_visible()
