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


def test_a_band_without_an_explanation_is_refused():
    with pytest.raises(ValueError, match="expected band, a description of what lies between"):
        Series("b", [1], [0], low=[0], high=[1])


def test_variants_of_a_line_all_differ_and_the_first_is_the_plain_line():
    found = [Series("a", [1], [0], variant=i) for i in range(VARIANTS)]
    assert len({(one.shade, one.marker) for one in found}) == VARIANTS
    assert {"shade", "marker"}.isdisjoint(found[0].as_dict())
    assert found[1].as_dict()["marker"] == "square" and found[1].as_dict()["shade"] == 1
    with pytest.raises(ValueError, match="expected a variant from 0 to 20, got 21"):
        Series("a", [1], [0], variant=VARIANTS)


def test_the_file_is_named_after_the_title_or_as_given():
    assert chart(Series("a", [1], [0])).file == "t"
    assert chart(Series("a", [1], [0]), name="figure8").markdown() == (
        "![T](figures/figure8.png)\n\nSaid."
    )
