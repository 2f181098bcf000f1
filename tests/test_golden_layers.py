"""Layers against PyTorch: y, dx, gradients and running values of three steps, to ten digits."""

from __future__ import annotations

import json

import numpy as np
import pytest
from make_layers import LAYERS, PLACE, STEPS, build, cut, pytorch_steps, steps

from minidl.backend import CPU, Device, to_numpy

GOLDEN = json.loads(PLACE.read_text("utf-8"))
each = pytest.mark.parametrize("name", LAYERS)


def our_steps(name: str, place: Device = CPU) -> list[dict[str, np.ndarray]]:
    layer, found = build(name, place), []
    for x, drawn, training in steps(name):
        y = layer.forward(place.asarray(x), training)
        dx = layer.backward(place.asarray(np.ascontiguousarray(cut(drawn, y))))
        arrays = {"y": y.copy()} | ({} if dx is None else {"dx": dx.copy()})
        for part in layer.walk():
            at = part.name + "." if part.name else ""
            arrays |= {f"d {at}{key}": g.copy() for key, g in part.gradients().items()}
            arrays |= {at + key: value.copy() for key, value in part.state().items()}
        found.append({key: to_numpy(array) for key, array in arrays.items()})
    return found


def compare(ours, theirs):
    assert len(ours) == len(theirs) == STEPS + 1
    for number, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        assert set(a) == set(b)
        for key, value in a.items():
            # db of a Dense before BatchNorm is 0 up to rounding, and so is that of the keys
            atol = 1e-12 if key.endswith("key.b") else 1e-14
            np.testing.assert_allclose(
                value.ravel(), b[key], rtol=1e-10, atol=atol, err_msg=f"{number} {key}"
            )


@each
def test_values_and_gradients_equal_the_golden_ones(name, place):
    compare(our_steps(name, place), GOLDEN[name])


@pytest.mark.peer
@each
def test_they_equal_those_of_the_installed_pytorch(name):
    pytest.importorskip("torch", reason="needs PyTorch to compare with")
    compare(our_steps(name), pytorch_steps(name))


def test_the_golden_values_would_reveal_a_wrong_step():
    """Nothing in them is constant, and training differs from inference where it should."""
    for name in LAYERS:
        for step in GOLDEN[name]:
            for key, values in step.items():
                if key.endswith("key.b"):  # 0 up to rounding
                    assert np.abs(values).max() < 1e-12
                else:
                    assert len(set(values)) > 1, (name, key)
    for name in ("batch norm of units", "batch norm of maps"):
        first, *_, inference = our_steps(name)
        running = [np.array(step["running_variance"]) for step in GOLDEN[name]]
        assert np.abs(running[1] / running[0] - 1).min() > 1e-3
        np.testing.assert_array_equal(running[-2], running[-1])
        assert abs(inference["dx"].sum()) > 0.1 > 1e-12 > abs(first["dx"].sum())
