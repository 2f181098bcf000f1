"""A network of the microscope has the colour that its function has in every report."""

from __future__ import annotations

from types import SimpleNamespace

from minidl.microscope.page import network_colours
from minidl.pages.colours import PALETTE, function_colour


def networks(*functions):
    """Networks of which nothing but the function of the first layer is known."""
    layers = [[SimpleNamespace(activation=f)] for f in functions]
    return [
        SimpleNamespace(name=f, snapshots=[SimpleNamespace(layers=some)])
        for f, some in zip(functions, layers, strict=True)
    ]


def test_sigmoid_and_relu_are_not_exchanged_whatever_their_order():
    sigmoid, relu = function_colour("sigmoid"), function_colour("relu")
    assert network_colours(networks("relu", "sigmoid")) == [relu, sigmoid]
    assert network_colours(networks("sigmoid", "relu")) == [sigmoid, relu]


def test_networks_with_the_same_function_have_different_colours_of_their_own():
    found = network_colours(networks("relu", "sigmoid", "sigmoid", "relu"))
    assert found[:2] == [function_colour("relu"), function_colour("sigmoid")]
    assert len(set(found)) == 4
    assert len(network_colours(networks(*["tanh"] * 30))) == 30
    assert max(network_colours(networks(*["tanh"] * 30))) < len(PALETTE)
