"""Shades of a colour can be read on their background, and told from it."""

from __future__ import annotations

import pytest

from minidl.pages.colours import PALETTE, SHADES, ink, shades, style, told_apart

PAPER, NIGHT = "#fcfbf8", "#15171a"  # as page.css has them


def luminance(colour):
    """The relative luminance of WCAG 2."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(weight * p for weight, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(a, b):
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("colour", range(len(PALETTE)))
def test_each_shade_is_seen_and_none_is_the_colour_itself(colour):
    light, dark = zip(*shades(colour), strict=True)
    assert (light[0], dark[0]) == PALETTE[colour]
    assert len(set(light)) == len(set(dark)) == len(SHADES)
    assert min(contrast(one, PAPER) for one in light) > 3
    assert min(contrast(one, NIGHT) for one in dark) > 3


def test_every_shade_is_a_variable_of_the_style_sheet():
    assert f"--series-1: light-dark({PALETTE[1][0]}, {PALETTE[1][1]});" in style()
    assert f"--series-1-2: light-dark({ink(1, 2)}, {shades(1)[2][1]});" in style()


def test_a_colour_that_another_has_gives_way_to_a_free_one():
    assert told_apart([1, 0, 2]) == [1, 0, 2]
    found = told_apart([9, 0, 9, 9])
    assert found[:2] == [9, 0] and len(set(found)) == 4
    assert told_apart([*range(len(PALETTE)), 3])[-1] == 3  # none is free
