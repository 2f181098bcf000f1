"""The colours of pages, figures and the microscope: a hue per function, a tone per layer.

Functions, and networks that use them, have a hue; layers have only a tone.
"""

from __future__ import annotations

from collections.abc import Sequence

# Okabe and Ito's colours, on light paper and on dark: colour-blind readers can distinguish
# them, and their contrast is at least 3 : 1 against either.
HUES = (
    ("#7b3294", "#c79be0"),
    ("#cb4f00", "#ff9050"),
    ("#00805e", "#3fcf9f"),
    ("#a87100", "#f2bb3a"),
    ("#0069aa", "#6cb5f0"),
    ("#0f93a8", "#a5dcf7"),
    ("#b8568f", "#f0a6d2"),
    ("#7c7000", "#d8ca45"),
    ("#555555", "#b5b5b5"),
    ("#000000", "#ffffff"),
)
BLACK = len(HUES) - 1
FUNCTIONS = ("sigmoid", "relu", "tanh", "leaky_relu", "elu", "selu", "gelu", "swish", "linear")
# Slate in even steps of lightness, from the highest contrast with the paper to the lowest, which
# is at least 3 : 1 as well.
TONES = (
    ("#0b1b2f", "#e9f3ff"),
    ("#1a2c43", "#cedaeb"),
    ("#2b3f58", "#b3c2d7"),
    ("#3c526e", "#99abc3"),
    ("#4d6685", "#7f94af"),
    ("#607b9d", "#677e9b"),
    ("#7690b0", "#4f6888"),
)
PALETTE = (*HUES, *TONES)
APART = (4, 3, 2, 6, 7, 8, 0, 5, 9)  # for anything else: neighbours are easy to distinguish
# Shades of a colour: the share of black in it on light paper, of white on dark. Black becomes grey.
SHADES = (0.0, 0.4, 0.65)
GREYS = ("#a0a0a0", "#707070")


def function_colour(name: str) -> int:
    """The colour of an activation function; black for one without its own colour."""
    return FUNCTIONS.index(name) if name in FUNCTIONS else BLACK


def distinct_colours(own: Sequence[int]) -> list[int]:
    """The colours, with those already taken replaced by free ones."""
    free = [colour for colour in range(len(HUES)) if colour not in own]
    return [
        colour if own.index(colour) == i or not free else free[i % len(free)]
        for i, colour in enumerate(own)
    ]


def tone(place: int, count: int) -> int:
    """The colour of one of ``count`` layers, or of other things in an order, from 0."""
    return len(HUES) + round(place * (len(TONES) - 1) / max(1, count - 1))


def ink(colour: int, shade: int = 0) -> str:
    """A colour on paper, as ``#7b3294``."""
    return shades(colour)[shade][0]


def shades(colour: int) -> list[tuple[str, str]]:
    """A colour and its darker shades on light paper, and the lighter ones on dark."""
    ends = GREYS if colour == BLACK else ("#000000", "#ffffff")
    light, dark = PALETTE[colour]
    return [(_mixed(light, ends[0], share), _mixed(dark, ends[1], share)) for share in SHADES]


def _mixed(colour: str, other: str, share: float) -> str:
    """The colour mixed with a share of the other, for red, green and blue."""
    pairs = [(int(colour[i : i + 2], 16), int(other[i : i + 2], 16)) for i in (1, 3, 5)]
    return "#" + "".join(f"{round(a + share * (b - a)):02x}" for a, b in pairs)


def style() -> str:
    """The colours as variables of a style sheet, for light and dark."""
    lines = (
        f"  --series-{i}{f'-{shade}' if shade else ''}: light-dark({light}, {dark});"
        for i in range(len(PALETTE))
        for shade, (light, dark) in enumerate(shades(i))
    )
    return ":root {\n" + "\n".join(lines) + "\n}\n"
