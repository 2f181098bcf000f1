"""The figures of the guide, drawn by the engine itself: ``python website/figures.py``."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np

from minidl import Dense, Flatten, Network, SoftmaxCrossEntropy, get_activation
from minidl.data.standin import generate
from minidl.study.figures import COLOURS, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

FOLDER = Path(__file__).parents[1] / "docs" / "guide" / "figures"
FORWARD, BACKWARD = "#0072b2", "#d55e00"


def neuron() -> Figure:
    """The neuron of step 1: forward values above the line, gradients below it."""
    layer = Dense(1, 1, "sigmoid").build(dtype="float64")
    layer.W[...], layer.b[...] = 0.5, -1.0
    x = np.array([[2.0]])
    y = layer.forward(x)
    dy = 2 * (y - 1.0)
    dx: Any = layer.backward(dy)
    loss = np.square(y - 1.0)

    figure, ax = _canvas(7.2, 2.9)
    places = {"x": 0.4, "z = x W + b": 2.2, "y = σ(z)": 4.2, "L = (y − t)²": 6.2}
    values = (("x", x), ("z", layer.z), ("y", y), ("L", loss))
    gradients = (("dx", dx), ("dz", layer.dz), ("dy", dy))
    for (text, at), (letter, value) in zip(places.items(), values, strict=True):
        _box(ax, at, 1.5, text)
        ax.text(at, 2.05, f"{letter} = {_number(value)}", color=FORWARD, ha="center")
    for (letter, value), at in zip(gradients, places.values(), strict=False):
        ax.text(at, 0.95, f"{letter} = {_number(value)}", color=BACKWARD, ha="center")
    for left, right in pairwise(places.values()):
        _arrow(ax, (left + 0.62, 1.6), (right - 0.62, 1.6), FORWARD)
        _arrow(ax, (right - 0.62, 1.4), (left + 0.62, 1.4), BACKWARD)
    for at, letter, value, gradient in (
        (1.2, "W", layer.W, layer.dW),
        (3.2, "b", layer.b, layer.db),
    ):
        _arrow(ax, (at, 0.75), (at + (2.2 - at) * 0.35, 1.2), "#888888")
        ax.text(at, 0.5, f"{letter} = {_number(value)}", color=FORWARD, ha="center")
        ax.text(at, 0.2, f"d{letter} = {_number(gradient)}", color=BACKWARD, ha="center")
    ax.set(xlim=(-0.4, 7.0), ylim=(0.1, 2.3))
    return figure


def layer() -> Figure:
    """The products of a layer as rectangles: which shape goes where."""
    figure, ax = _canvas(7.2, 2.2)
    sizes = {"N": 4, "n_in": 3, "n_out": 2}
    equations = (
        ("z", "N n_out", "x", "N n_in", "W", "n_in n_out", FORWARD),
        ("dW", "n_in n_out", "xᵀ", "n_in N", "dz", "N n_out", BACKWARD),
        ("dx", "N n_in", "dz", "N n_out", "Wᵀ", "n_out n_in", BACKWARD),
    )
    for place, (*parts, colour) in enumerate(equations):
        for part, (name, shape) in enumerate(zip(parts[::2], parts[1::2], strict=True)):
            rows, columns = shape.split()
            x, width, height = place * 2.7 + part * 0.85, 0.18 * sizes[columns], 0.18 * sizes[rows]
            ax.add_patch(_rectangle(x - width / 2, 1 - height / 2, width, height, colour))
            ax.text(x, 1.0, name, ha="center", va="center")
            ax.text(x, 0.45, f"{rows} × {columns}", ha="center", fontsize=7, color="#555555")
        ax.text(place * 2.7 + 0.42, 1.0, "=", ha="center", va="center")
    ax.text(0.85, 1.5, "forward (and + b)", ha="center", color=FORWARD)
    ax.text(4.9, 1.5, "backward", ha="center", color=BACKWARD)
    ax.set(xlim=(-0.5, 7.6), ylim=(0.35, 1.7), aspect="equal")
    return figure


def functions() -> Figure:
    """Sigmoid and ReLU, and their slopes."""
    figure, axes = new_figure("f(z) and its slope f'(z)", ("sigmoid", "relu"))
    z = np.linspace(-6, 6, 601)
    for ax, name in zip(axes, ("sigmoid", "relu"), strict=True):
        f, colour = get_activation(name), COLOURS[name]
        ax.plot(z, f(z), color=colour, linewidth=2.4, label="f(z)")
        slope = f.derivative(z)
        slope[np.isin(z, f.kinks)] = np.nan  # a gap where it jumps
        ax.plot(z, slope, color=colour, linewidth=0.9, label="f'(z)")
        ax.axhline(f.max_slope, color="#888888", linewidth=0.8, linestyle=":")
        ax.text(-5.8, f.max_slope + 0.04, f"steepest: {f.max_slope:g}", fontsize=8)
        ax.set(xlabel="z", ylim=(-0.1, 2.0))
        ax.legend(fontsize=8, loc="upper center")
    return figure


def factors() -> Figure:
    """What is left of the gradient after each layer of the published network, before training."""
    x, labels = generate(train=64, test=1).train.batch(0, 64, np.dtype("float32"))
    figure, (ax,) = new_figure("‖dz‖ of each layer, as a share of the output layer's")
    names = [f"dense_{i}" for i in range(5, 0, -1)]
    for f in ("sigmoid", "relu"):
        hidden = [Dense(3072, 512, f), *(Dense(512, 512, f) for _ in range(3))]
        network = Network([Flatten(), *hidden, Dense(512, 100)], (3, 32, 32))
        _, dlogits = SoftmaxCrossEntropy()(network.forward(x), labels)
        network.backward(dlogits)
        layers: dict[str, Any] = {layer.name: layer for layer in network.layers}
        sizes = np.array([np.linalg.norm(layers[name].dz) for name in names])
        ax.semilogy(names, sizes / sizes[0], "o-", color=COLOURS[f], label=f)
    for power in range(5):
        ax.axhline(0.25**power, color="#888888", linewidth=0.6, linestyle=":")
        ax.text(4.45, 0.25**power, f"(1/4)^{power}", fontsize=7.5, va="center")
    ax.set(xlim=(-0.3, 5.0), xlabel="the gradient comes from the left")
    ax.legend(fontsize=8)
    return figure


def _number(value: np.ndarray) -> str:
    return f"{value.item():g}".replace("-", "−")


def _canvas(width: float, height: float) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    figure.set_layout_engine("constrained")
    ax = figure.subplots()
    ax.set_axis_off()
    return figure, ax


def _box(ax: Axes, x: float, y: float, text: str) -> None:
    style = {"boxstyle": "round,pad=0.4", "facecolor": "white", "edgecolor": "#333333"}
    ax.text(x, y, text, ha="center", va="center", bbox=style)


def _arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float], colour: str) -> None:
    ax.annotate("", end, start, arrowprops={"arrowstyle": "->", "color": colour})


def _rectangle(x: float, y: float, width: float, height: float, colour: str) -> Rectangle:
    from matplotlib.patches import Rectangle

    return Rectangle((x, y), width, height, facecolor="white", edgecolor=colour)


FIGURES: dict[str, Callable[[], Figure]] = {
    "neuron": neuron,
    "layer": layer,
    "functions": functions,
    "factors": factors,
}


def write(folder: Path) -> None:
    """All figures as SVG with text as text, so that a test can read them."""
    folder.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "minidl"}):
        for name, draw in FIGURES.items():
            draw().savefig(folder / f"{name}.svg", metadata={"Date": None})


if __name__ == "__main__":
    write(FOLDER)
