"""Every number of the step comes of the numbers that its formula names."""

from __future__ import annotations

import functools
import math
import re

import pytest

from minidl.microscope.walkthrough import Cell, Term, Walk, walks

IN_PYTHON = {
    "·": "*",
    "−": "-",
    "max": "max",
    "tanh": "math.tanh",
    "log": "math.log",
    "e^": "math.e**",
    "[": "float(",
    "]": ")",
}


def cells(walk: Walk) -> list[Cell]:
    return [cell for table in walk.tables for row in table.rows for cell in row]


def worked_out(formula: str, values: dict[str, float]) -> float:
    """What the formula comes to, each name in braces replaced by its number."""
    text = re.sub(r"\{(.+?)\}", lambda found: f"({values[found[1]]!r})", formula)
    for ours, theirs in IN_PYTHON.items():
        text = text.replace(ours, theirs)
    return eval(text, {"math": math, "max": max, "float": float, "__builtins__": {}})


@functools.cache
def walked() -> dict[str, Walk]:
    return {walk.title: walk for walk in walks()}


def test_every_formula_comes_to_the_number_that_minidl_computes():
    for title, walk in walked().items():
        found = cells(walk)
        values = {cell.name: cell.value for cell in found}
        assert len(values) == len(found)  # each name once
        made = [cell for cell in found if cell.formula]
        assert len(made) == 3 + 3 + 3 + 2 + 2 + 1 + 2 + 6 + 2 + 3 + 3 + 6 + 3 + 9 + 8
        for cell in made:
            expected = worked_out(cell.formula, values)
            assert cell.value == pytest.approx(expected, rel=1e-12, abs=1e-15), (title, cell)


def test_a_number_is_made_of_numbers_before_it():
    for title, walk in walked().items():
        seen: set[str] = set()
        for cell in cells(walk):
            named = set(re.findall(r"\{(.+?)\}", cell.formula))
            assert named <= seen, (title, cell)
            assert named or not cell.formula
            seen.add(cell.name)


def test_the_gradients_are_those_of_the_loss():
    """W⁽¹⁾₁₂ a little larger and a little smaller, and the loss worked out by the formulas."""
    found = cells(walked()["sigmoid"])
    step, losses = 1e-5, []
    for change in (step, -step):
        values: dict[str, float] = {}
        for cell in found:
            value = worked_out(cell.formula, values) if cell.formula else cell.value
            values[cell.name] = value + (change if cell.name == "W⁽¹⁾₁₂" else 0)
        losses.append(values["L"])
    numeric = (losses[0] - losses[1]) / (2 * step)
    assert {cell.name: cell.value for cell in found}["dW⁽¹⁾₁₂"] == pytest.approx(numeric, rel=1e-8)


def test_far_out_the_slopes_take_the_signal_away():
    def first_gradients(title: str) -> list[float]:
        table = next(table for table in walked()[title].tables if table.name == "dW⁽¹⁾")
        return [abs(cell.value) for row in table.rows for cell in row]

    near, far = (max(first_gradients(t)) for t in ("sigmoid", "sigmoid, saturated"))
    assert far < near / 5
    assert first_gradients("ReLU")[1] == 0  # z⁽¹⁾₂ < 0: the unit is off


def test_terms_are_written_as_sums_of_products():
    a, b = Term("a"), Term("b")
    assert str(a * b + b - 0.5 * a) == "a · b + b − 0.5 · a"
