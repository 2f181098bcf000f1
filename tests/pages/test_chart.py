"""What a chart derives from its series: tick marks, widths, and the legend's dashes and bands."""

from __future__ import annotations

import pytest

from minidl.pages import Chart, Series
from minidl.pages.chart import VARIANTS, ticks


def test_tick_marks_end_where_the_data_end():
    assert ticks([1]) == [1]
    assert ticks([1, 2, 3, 4, 5, 10]) == [1, 2, 3, 4, 5, 10]
    assert ticks(range(1, 11)) == [1, 2, 4, 6, 8, 10]
    assert ticks(range(1, 21)) == [1, 5, 10, 15, 20]
    assert ticks(range(1, 18)) == [1, 5, 10, 17]  # 15 would overlap 17
    assert ticks([i / 8 for i in range(-32, 33)]) == [-4, -2, 0, 2, 4]


def chart(*series, **more):
    return Chart("T", "Said.", "epoch", "y", series, **more)


def test_each_choice_has_its_own_tick_marks():
    long = Series("a", range(1, 21), [0.0] * 20, where={"set-up": "long"})
    short = Series("a", [1, 2], [0.0, 1.0], where={"set-up": "short"})
    found = chart(long, short)
    assert found.ticks({"set-up": "long"})[-1] == 20
    assert found.ticks({"set-up": "short"}) == [1, 2]


def test_a_line_under_another_is_thicker_and_a_published_line_is_thin():
    below, above = Series("a", [1], [0]), Series("b", [1], [0])
    theirs, alone = Series("c", [1], [0], published=True), Series("d", [1], [0], panel="other")
    first, second, third, fourth = chart(below, above, theirs, alone).widths()
    assert first > second == third == fourth


def test_dashes_and_bands_are_explained_if_there_are_any():
    line = Series("a", [1, 2], [0, 1])
    assert chart(line).legend == "Said."
    band = Series("b", [1, 2], [0, 1], low=[0, 0], high=[1, 1], band="the range of 3 seeds")
    theirs = Series("c", [1, 2], [0, 1], published=True)
    assert chart(line, band, theirs).legend == (
        "Said. Dashed: published. Band: the range of 3 seeds."
    )
    dots = Series("c", ["x"], [0], published=True)
    assert chart(dots).legend == "Said. Empty: published."


def series(**changes):
    return Series(**{"name": "relu", "x": [1, 2], "y": [3.0, 4.0]} | changes)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: series(y=[1.0]), r"'relu': expected 2 numbers in y, one for each x, got 1"),
        (lambda: series(low=[1.0]), r"'relu': expected 2 numbers in low, one for each x, got 1"),
        (lambda: series(low=[0, 1]), r"'relu': expected band, a description of what lies between"),
        (lambda: series(colour=17), r"'relu': expected a colour from 0 to 16, got 17"),
        (lambda: series(variant=VARIANTS), r"'relu': expected a variant from 0 to 20, got 21"),
        (lambda: chart(), r"'T': expected one series or more, got none"),
        (lambda: chart(series(), scales=("cubic",)), r"'T': expected scales of 'linear' and 'log'"),
        (lambda: chart(series(), series(where={"of": "W"})), r"'T': expected where to have the"),
    ],
)
def test_series_that_a_chart_cannot_draw_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_anything_but_a_number_is_a_gap():
    assert series(y=[float("nan"), None]).as_dict()["y"] == [None, None]


def test_variants_of_a_line_all_differ_and_the_first_is_the_plain_line():
    found = [Series("a", [1], [0], variant=i) for i in range(VARIANTS)]
    assert len({(one.shade, one.marker) for one in found}) == VARIANTS
    assert {"shade", "marker"}.isdisjoint(found[0].as_dict())
    assert found[1].as_dict()["marker"] == "square" and found[1].as_dict()["shade"] == 1


def test_the_file_is_named_after_the_title_or_as_given():
    assert chart(Series("a", [1], [0])).file == "t"
    assert chart(Series("a", [1], [0]), name="figure8").markdown() == (
        "![T](figures/figure8.png)\n\nSaid."
    )
