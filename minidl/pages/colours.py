"""The colours of pages, figures and the microscope: one for each function, wherever it is drawn."""

from __future__ import annotations

# Okabe and Ito's colours, on light paper and on dark: told apart by colour-blind readers too, and
# at least 3 : 1 against either.
PALETTE = (
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
BLACK = len(PALETTE) - 1
FUNCTIONS = ("sigmoid", "relu", "tanh", "leaky_relu", "elu", "selu", "gelu", "swish", "linear")
LAYERS = (4, 3, 2, 6, 7, 8, 0, 5, 9)  # of hidden layers: neighbours are told apart
OUTPUT = 1


def function_colour(name: str) -> int:
    """The colour of an activation function; black for one without a colour of its own."""
    return FUNCTIONS.index(name) if name in FUNCTIONS else BLACK


def layer_colour(layer: int, count: int | None = None) -> int:
    """The colour of a layer of ``count``, from 0; None: a hidden one."""
    return OUTPUT if count is not None and layer == count - 1 else LAYERS[layer % len(LAYERS)]


def ink(colour: int) -> str:
    """A colour on paper, as ``#7b3294``."""
    return PALETTE[colour][0]


def style() -> str:
    """The colours as variables of a style sheet, light and dark in one."""
    lines = (
        f"  --series-{i}: light-dark({light}, {dark});" for i, (light, dark) in enumerate(PALETTE)
    )
    return ":root {\n" + "\n".join(lines) + "\n}\n"
