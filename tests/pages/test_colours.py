"""Shades of a colour are readable on their background, and distinct."""

from __future__ import annotations

import itertools

import pytest

from minidl.pages import Series, in_order
from minidl.pages.colours import (
    HUES,
    PALETTE,
    SHADES,
    TONES,
    distinct_colours,
    ink,
    shades,
    style,
    tone,
)

PAPER, NIGHT = "#fcfbf8", "#15171a"  # as in page.css


def luminance(colour):
    """The relative luminance of WCAG 2."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(weight * p for weight, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(a, b):
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_all_shades_are_visible_and_distinct():
    for colour, pair in enumerate(PALETTE):
        light, dark = zip(*shades(colour), strict=True)
        assert (light[0], dark[0]) == pair
        assert len(set(light)) == len(set(dark)) == len(SHADES)
        assert min(contrast(one, PAPER) for one in light) > 3, light
        assert min(contrast(one, NIGHT) for one in dark) > 3, dark


def test_every_shade_is_a_variable_of_the_style_sheet():
    assert f"--series-1: light-dark({PALETTE[1][0]}, {PALETTE[1][1]});" in style()
    assert f"--series-1-2: light-dark({ink(1, 2)}, {shades(1)[2][1]});" in style()


def test_a_colour_already_in_use_is_replaced_by_a_free_one():
    assert distinct_colours([1, 0, 2]) == [1, 0, 2]
    found = distinct_colours([9, 0, 9, 9])
    assert found[:2] == [9, 0] and len(set(found)) == 4
    assert distinct_colours([*range(len(HUES)), 3])[-1] == 3  # none is free


@pytest.mark.parametrize(("paper", "side"), [(PAPER, 0), (NIGHT, 1)])
def test_layers_go_from_high_to_low_contrast(paper, side):
    seen = [contrast(pair[side], paper) for pair in TONES]
    assert seen == sorted(seen, reverse=True)
    steps = [a / b for a, b in itertools.pairwise(seen)]
    assert min(steps) > 1.2


def saturation(colour):
    parts = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return (max(parts) - min(parts)) / 255


def test_no_layer_has_the_colour_of_a_function():
    """All hues except grey and black are vivid; no tone is."""
    vivid = [saturation(one) for pair in HUES[:-2] for one in pair]
    assert min(vivid) > 0.25 > max(saturation(one) for pair in TONES for one in pair)
    assert {tone(i, 5) for i in range(5)} <= set(range(len(HUES), len(PALETTE)))
    assert not set(distinct_colours([0] * 30)) & set(range(len(HUES), len(PALETTE)))


@pytest.mark.parametrize("count", [1, 2, 5, 7, 40])
def test_neighbouring_layers_differ_in_more_than_their_tone(count):
    looks = [in_order(i, count) for i in range(count)]
    series = [Series("layer", [1], [1], **look) for look in looks]
    assert all(one.shade == 0 for one in series)
    for start in range(count):  # among any seven in a row
        markers = [one.marker for one in series[start : start + 7]]
        assert len(set(markers)) == len(markers)
    assert [look["colour"] for look in looks] == sorted(look["colour"] for look in looks)
    assert looks[-1]["colour"] == (len(PALETTE) - 1 if count > 1 else len(HUES))
