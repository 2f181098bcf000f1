"""A chart in the browser: drawn, read with mouse and keyboard, shown as a table, saved."""

import xml.etree.ElementTree as ET

import pytest
from browser import serious_faults, sticks_out

from minidl.pages import Chart, Page, Prose, Section, Series

pytestmark = pytest.mark.browser

EPOCHS = [1, 2, 3, 4]
TITLE = "Gradient by layer </script> & epoch"
LINES = {  # by parameter, panel and name
    ("weights", "sigmoid", "layer 1"): [1e-7, 2e-6, 0.0, None],
    ("weights", "sigmoid", "layer 2"): [0.1, 0.2, 0.3, 0.25],
    ("weights", "relu", "layer 1"): [0.5, 0.25, 0.125, 0.0625],
    ("weights", "relu", "layer 2"): [0.123456, 0.2, 0.3, 0.4],
    ("biases", "sigmoid", "layer 1"): [1.0, 2.0, 3.0, 4.0],
    ("biases", "relu", "layer 2"): [5.0, 6.0, 7.0, 8.0],
}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    gradients = Chart(
        TITLE,
        "Mean size.",
        "epoch",
        "size",
        [
            Series(name, EPOCHS, y, colour, panel=panel, where={"parameter": parameter})
            for colour, ((parameter, panel, name), y) in enumerate(LINES.items())
        ],
        ("linear", "log"),
    )
    names = ["sigmoid", "relu", "elu"]
    functions = Chart(
        "By function",
        "Dots.",
        "function",
        "accuracy",
        [Series("ours", names, [0.61, 0.63, 0.62])],
        from_zero=False,
    )
    page = Page("A page", "test", "Why?", "So.", [gradients], [Section("More", [functions])])
    path = tmp_path_factory.mktemp("page") / "page.html"
    page.write(path)
    return path


def chart_page(path, *series):
    """A page with one chart of these series."""
    Page("P", "test", "?", ".", [Chart("C", "Said.", "epoch", "y", series)]).write(path)
    return path


@pytest.fixture
def page(watch, path):
    return watch.open(path)


@pytest.fixture
def chart(page):
    return page.locator("figure.chart").first


def tips(chart):
    return [tip.inner_text().split("\n") for tip in chart.locator(".tip:visible").all()]


def ticks(chart):
    return chart.locator("[aria-label='y-axis tick label'] text").all_text_contents()


def test_every_series_is_a_line_in_its_panel_and_named_positions_are_dots(page):
    assert page.title() == "A page"
    first, second = page.locator("figure.chart").all()
    assert first.locator("h3").inner_text() == TITLE
    assert first.locator("h4").all_inner_texts() == ["sigmoid", "relu"]
    for panel in first.locator(".panel").all():
        lines = panel.locator("g.line path").all()
        assert len(lines) == 2
        assert all(line.bounding_box()["width"] > 50 for line in lines)
    assert second.locator("g.dots circle").count() == 3


def test_a_choice_and_the_scale_change_what_is_drawn_also_by_keyboard(page, chart):
    for _ in range(5):  # the skip link, the theme, the contents, the parameter
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.value") == "weights":
            break
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.value") == "biases"
    assert [p.locator("g.line path").count() for p in chart.locator(".panel").all()] == [1, 1]
    chart.get_by_text("weights").click()
    assert ticks(chart)[0] == "0"
    chart.get_by_text("logarithmic").click()
    assert ticks(chart)[0] == "1.000e−7"


def test_the_pointer_shows_the_figures_of_its_epoch_in_every_panel(page, chart):
    box = chart.locator(".plot").first.bounding_box()
    page.mouse.move(box["x"] + box["width"] - 20, box["y"] + 60)
    assert [tip[0] for tip in tips(chart)] == ["epoch 4", "epoch 4"]
    assert tips(chart)[0][1:] == ["layer 2", "0.25", "layer 1", "–"]
    assert tips(chart)[1][1:] == ["layer 2", "0.4", "layer 1", "0.0625"]
    chart.get_by_text("logarithmic").click()  # takes the focus, yet the figures disappear
    page.mouse.move(box["x"] + 80, box["y"] + 60)
    assert len(tips(chart)) == 2
    page.mouse.move(2, 2)
    assert tips(chart) == []


def test_a_band_can_be_read_and_published_lines_are_drawn_over_ours(watch, tmp_path):
    band = {"low": [1, 2], "high": [3, 5], "band": "the range of 2 seeds"}
    theirs = Series("theirs", [1, 2], [2, 3], 1, published=True)
    ours = Series("ours", [1, 2], [2, 4], 2, **band)
    page = watch.open(chart_page(tmp_path / "page.html", theirs, ours))
    dashes = page.locator("g.line").evaluate_all(
        "all => all.map((line) => getComputedStyle(line.querySelector('path')).strokeDasharray)"
    )
    assert dashes == ["none", "5px, 4px"]
    page.locator(".plot").focus()
    page.keyboard.press("End")
    assert tips(page)[0] == ["epoch 2", "ours", "4 (2 to 5)", "theirs", "3"]


def test_arrow_keys_show_and_announce_the_figures(page, chart):
    plot = chart.locator(".plot").nth(1)
    plot.focus()
    page.keyboard.press("Home")
    assert tips(chart)[1] == ["epoch 1", "layer 1", "0.5", "layer 2", "0.1235"]
    page.keyboard.press("ArrowRight")
    assert plot.get_attribute("aria-valuetext") == "epoch 2: layer 1 0.25; layer 2 0.2"
    page.keyboard.press("End")
    assert plot.get_attribute("aria-valuenow") == plot.get_attribute("aria-valuemax") == "3"
    page.keyboard.press("ArrowRight")  # stays
    assert tips(chart)[0][0] == "epoch 4"


def test_the_legend_hides_a_series_from_chart_table_and_tips(page, chart):
    chart.get_by_role("button", name="Table").click()
    chart.get_by_role("button", name="layer 1").press("Enter")
    assert chart.locator("g.line path").count() == 2
    assert chart.locator("thead th").all_inner_texts() == [
        *("epoch", "sigmoid: layer 2", "relu: layer 2")
    ]
    assert chart.get_by_role("button", name="layer 1").get_attribute("aria-pressed") == "false"
    chart.get_by_role("button", name="layer 1").press("Enter")
    assert chart.locator("g.line path").count() == 4


def test_the_table_has_the_figures_of_the_chart(chart):
    chart.get_by_role("button", name="Table").click()
    cells = [row.locator("th, td").all_inner_texts() for row in chart.locator("tbody tr").all()]
    assert cells[0] == ["1", "1.000e−7", "0.1", "0.5", "0.1235"]
    assert cells[3] == ["4", "–", "0.25", "0.0625", "0.4"]
    chart.get_by_text("biases").click()
    assert chart.locator("tbody tr").nth(1).locator("td").all_inner_texts() == ["2", "6"]
    chart.get_by_role("button", name="Table").click()
    assert not chart.locator("table").is_visible()


def saved(page, chart, kind, folder):
    with page.expect_download() as download:
        chart.get_by_role("button", name=f"Save as {kind}").click()
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


def test_a_chart_is_saved_as_svg_png_and_csv(page, chart, tmp_path):
    svg = saved(page, chart, "SVG", tmp_path)
    assert svg.name == "gradient-by-layer-script-epoch.svg"
    texts = [node.text for node in ET.parse(svg).iter("{http://www.w3.org/2000/svg}text")]
    assert texts[0] == TITLE
    assert {"layer 1", "layer 2", "sigmoid", "relu"} <= set(texts)
    assert "var(" not in svg.read_text("utf-8")

    png = saved(page, chart, "PNG", tmp_path).read_bytes()
    width, height = (int.from_bytes(png[i : i + 4], "big") for i in (16, 20))
    assert png[:8] == b"\x89PNG\r\n\x1a\n" and width > 1500 and height > 500

    csv = saved(page, chart, "CSV", tmp_path).read_text("utf-8").splitlines()
    assert csv[0] == "epoch,sigmoid: layer 1,sigmoid: layer 2,relu: layer 1,relu: layer 2"
    assert csv[1] == "1,1e-7,0.1,0.5,0.123456"
    assert csv[4] == "4,,0.25,0.0625,0.4"


def test_a_saved_svg_looks_the_same_without_the_page(page, chart, watch, tmp_path):
    """Its colours are those of the page, dark if the page is dark."""
    page.get_by_role("button", name="Dark").click()
    seen = chart.locator("g.line").first.evaluate("node => getComputedStyle(node).stroke")
    alone = watch.browser.new_page()
    alone.goto(saved(page, chart, "SVG", tmp_path).as_uri())
    assert seen == alone.evaluate("getComputedStyle(document.querySelector('g.line')).stroke")
    assert (
        alone.evaluate("getComputedStyle(document.querySelector('rect')).fill") == "rgb(21, 23, 26)"
    )
    alone.close()


def test_light_and_dark_follow_the_system_and_the_switch(watch, path):
    page = watch.open(path, color_scheme="dark")
    colour = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(colour)
    page.get_by_role("button", name="Light").click()
    light = page.evaluate(colour)
    assert (dark, light) == ("rgb(21, 23, 26)", "rgb(252, 251, 248)")
    assert page.get_by_role("button", name="Dark").is_visible()


def test_on_a_phone_panels_are_stacked_and_nothing_overflows(watch, path):
    page = watch.open(path, width=360, height=740)
    above, below = (p.bounding_box() for p in page.locator(".panel").all()[:2])
    assert above["x"] == below["x"] and above["y"] + above["height"] <= below["y"]
    assert sticks_out(page) == 0
    page.evaluate("document.querySelector('h1').style.width = '500px'")
    assert sticks_out(page) > 100


def test_in_print_a_dark_page_is_light_and_without_buttons(watch, path):
    page = watch.open(path, color_scheme="dark")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(252, 251, 248)"
    assert not page.get_by_text("logarithmic").is_visible()
    assert page.locator("g.line path").first.is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault(watch, path, scheme):
    page = watch.open(path, color_scheme=scheme)
    page.locator("figure.chart").first.get_by_role("button", name="Table").click()
    page.locator(".plot").first.focus()
    page.keyboard.press("End")
    assert serious_faults(page) == []


def test_axe_finds_a_fault(page):
    page.evaluate("document.querySelector('.question').style.color = '#e0e0e0'")
    page.evaluate("document.documentElement.removeAttribute('lang')")
    assert {fault.split()[0] for fault in serious_faults(page)} == {
        *("color-contrast", "html-has-lang")
    }


def test_the_watch_notices_a_foreign_script_and_a_request(watch, tmp_path):
    class Bad(Prose):
        def html(self):
            return "<script>document.title = 'bad'</script><img src='https://example.org/x.png'>"

    path = tmp_path / "bad.html"
    Page("good", "", "", "", [Bad([])]).write(path)
    assert watch.open(path).title() == "good"
    assert len(watch.complaints) == 2  # the page's own policy stopped both
    watch.complaints.clear()
    watch.requests.clear()


def test_lines_of_one_colour_differ_in_shade_and_marker(watch, tmp_path):
    lines = [Series(f"run {i}", EPOCHS, [1, 2, 3, 4], 1, variant=i) for i in range(3)]
    drawn = watch.open(chart_page(tmp_path / "page.html", *lines)).locator("figure.chart")
    style = "nodes => nodes.map(node => getComputedStyle(node)"
    strokes = drawn.locator("g.line").evaluate_all(f"{style}.stroke)")
    widths = drawn.locator("g.line").evaluate_all(f"{style}.strokeWidth)")
    assert len(set(strokes)) == len(set(widths)) == 3  # the same figures, yet each line is visible
    assert drawn.locator("g.dots circle").count() == len(EPOCHS)  # those of the first line
    assert drawn.locator("g.dots path").count() == 2 * len(EPOCHS)
    assert drawn.locator(".legend path").count() == 2
