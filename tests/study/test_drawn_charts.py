"""matplotlib draws the same series, in the same colours and dashes, as the page does."""

from __future__ import annotations

import json
import re

import numpy as np
from matplotlib.colors import to_hex

from minidl.pages import Chart, Series
from minidl.pages.colours import ink
from minidl.study.figures import COLOURS, SHAPES, drawn, image_rows

EPOCHS = [1, 2, 3]


def chart(**more):
    series = [
        Series("relu", EPOCHS, [1.0, 4.0, None], 1, panel="a", where={"of": "W"}),
        Series("relu, published", EPOCHS, [2, 3, 4], 1, True, panel="a", where={"of": "W"}),
        Series("sigmoid", EPOCHS, [2, 2, 2], 0, panel="b", low=[1, 1, 1], high=[3, 3, 3],
               band="of 2 seeds", where={"of": "W"}),
        Series("relu", EPOCHS, [7, 8, 9], 1, panel="a", where={"of": "b"}),
    ]  # fmt: skip
    return Chart("Title", "Said.", "epoch", "y", series, **more)


def of_page(given):
    """The series as the page has them."""
    block = re.search(r'<script type="application/json">(.*)</script>', given.html())[1]
    return json.loads(block)["series"]


def plotted(*series, **more):
    """The axes of a chart with one panel."""
    (ax,) = drawn(Chart("T", "Said.", "x", "y", list(series), **more)).axes
    return ax


def test_a_row_for_each_choice_and_a_column_for_each_panel_with_the_series_of_the_page():
    figure = drawn(chart())
    shown = {}
    for ax, key in zip(figure.axes, [("W", "a"), ("W", "b"), ("b", "a"), ("b", "b")], strict=True):
        shown[key] = {line.get_label(): line for line in ax.lines}
        assert ax.axison == bool(ax.lines)
    for series in of_page(chart()):
        line = shown[series["where"]["of"], series["panel"]].pop(series["name"])
        y = [np.nan if v is None else v for v in series["y"]]
        np.testing.assert_array_equal(line.get_xdata(), series["x"])
        np.testing.assert_array_equal(line.get_ydata(), y)
        assert to_hex(line.get_color()) == ink(series["colour"])
        assert line.get_linestyle() == ("--" if series["dashed"] else "-")
    assert not any(shown.values())
    assert [len(ax.collections) for ax in figure.axes] == [0, 1, 0, 0]  # the band
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["relu", "relu, published", "sigmoid"]
    figure.draw_without_rendering()
    assert figure.axes[0].get_xticks().tolist() == of_page(chart())[0]["ticks"] == EPOCHS


def test_panels_of_a_choice_share_their_scale_and_it_includes_0():
    first, second, third, _ = drawn(chart()).axes
    assert first.get_ylim() == second.get_ylim() != third.get_ylim()
    assert first.get_ylim()[0] == 0
    assert drawn(chart(from_zero=False)).axes[2].get_ylim()[0] > 6
    logs = drawn(chart(scales=("log", "linear"))).axes[:3]
    assert {ax.get_yscale() for ax in logs} == {"log"}


def test_variants_have_a_shade_and_a_marker():
    given = [Series(str(i), range(90), [i] * 90, 1, variant=i) for i in range(3)]
    first, *others = plotted(*given).lines
    assert (to_hex(first.get_color()), first.get_marker()) == (ink(1), "None")
    for line, series in zip(others, given[1:], strict=True):
        assert to_hex(line.get_color()) == ink(1, series.shade) != ink(1)
        assert line.get_marker() == SHAPES[series.marker]
        assert line.get_linestyle() == "-" and line.get_markevery() == 3
    assert COLOURS["sigmoid"] == ink(0) and COLOURS["relu"] == ink(1)  # as on the pages
    assert len(set(COLOURS.values())) == len(COLOURS)


def test_names_along_x_have_dots_and_are_joined_where_they_stand_in_an_order():
    ours = Series("ours", ["elu", "relu"], [1, 2], 4)
    theirs = Series("published", ["elu", "relu"], [1, 3], 9, published=True)
    dots = plotted(ours, theirs).lines
    assert [line.get_linestyle() for line in dots] == ["None", "None"]
    assert [line.get_markerfacecolor() for line in dots] == [ink(4), "none"]  # published: empty
    joined = plotted(ours, theirs, joined=True).lines
    assert [line.get_linestyle() for line in joined] == ["-", "--"]
    assert [line.get_marker() for line in joined] == ["o", "o"]


def test_what_is_published_is_drawn_over_what_is_ours():
    theirs, ours = (
        Series("theirs", [1, 2], [1, 2], 1, published=True),
        Series("ours", [1, 2], [1, 2]),
    )
    assert [line.get_label() for line in plotted(theirs, ours).lines] == ["ours", "theirs"]


def test_constants_zeros_and_nothing_are_drawn():
    for scale in ("linear", "log"):
        for y in ([0.0, 0.0], [None, None], [5.0, 5.0]):
            plotted(Series("a", [1, 2], y), scales=(scale,)).figure.draw_without_rendering()


def test_many_panels_of_one_choice_stand_in_several_rows():
    series = [Series("f", [1, 2], [0, 1], panel=str(i)) for i in range(7)]
    figure = drawn(Chart("T", "Said.", "z", "", series))
    assert len({ax.get_position().y0 for ax in figure.axes if ax.axison}) == 2


def test_an_axis_names_the_choices_of_which_there_are_several():
    wheres = [{"set-up": "the only one", "parameter": p} for p in ("weights", "biases")]
    lines = [Series("a", [1, 2], [1, 2], where=where) for where in wheres]
    axes = drawn(Chart("T", "Said.", "epoch", "size", lines)).axes
    assert [ax.get_ylabel() for ax in axes] == ["weights · size", "biases · size"]


def test_images_in_rows():
    for shape in ((4, 4), (4, 4, 3)):
        image = np.zeros(shape, np.uint8)
        figure = image_rows("title", {"one": [(image, "a → b")] * 3, "other": [(image, "c")]})
        assert [ax.get_title() for ax in figure.axes] == ["a → b"] * 3 + ["c", "", ""]
