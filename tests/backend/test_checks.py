"""Anything but an array is refused with the code that makes it one, whatever library it is from."""

from __future__ import annotations

import re

import numpy as np
import pytest

from minidl import Examples

LABELS = np.zeros(2, int)


class _Tensor:
    __module__ = "torch"
    array = np.zeros((2, 3), "float32")

    def detach(self):
        return self

    cpu = detach

    def numpy(self):
        return self.array


class _Frame:
    __module__ = "pandas.core.frame"

    def to_numpy(self):
        return np.zeros((2, 3))


class _Image:
    __module__ = "PIL.Image"

    def __array__(self, dtype=None, copy=None):
        return np.zeros((5, 4, 3), np.uint8)


class _Torch:
    @staticmethod
    def stack(tensors):
        return _Tensor()


GIVEN = [
    (_Tensor(), "inputs.detach().cpu().numpy()", (2, 3)),
    ([_Tensor(), _Tensor()], "torch.stack(inputs).detach().cpu().numpy()", (2, 3)),
    (_Frame(), "inputs.to_numpy()", (2, 3)),
    ([_Image(), _Image()], "numpy.stack(inputs)", (2, 5, 4, 3)),
    ([[1.0, 2.0], [3.0, 4.0]], "numpy.asarray(inputs)", (2, 2)),
]


def test_the_error_has_the_code_that_makes_an_array():
    for inputs, way_out, shape in GIVEN:
        with pytest.raises(ValueError, match=re.escape(f"{way_out} makes")) as caught:
            Examples(inputs, LABELS)
        array = eval(way_out, {"inputs": inputs, "numpy": np, "torch": _Torch})
        assert array.shape == shape
        Examples(array, LABELS)
        assert (".transpose(0, 3, 1, 2)" in str(caught.value)) is (len(shape) == 4)


def test_the_error_for_other_targets_says_how_to_make_labels():
    words = "numpy.unique(targets, return_inverse=True)[1]"
    for targets, way_out in (
        (np.array([True, False]), "targets.astype('int64')"),
        (np.array(["cat", "dog"]), words),
        (np.array(["cat", "dog"], object), words),
    ):
        with pytest.raises(ValueError, match=re.escape(way_out)):
            Examples(np.zeros((2, 3)), targets)
        Examples(np.zeros((2, 3)), eval(way_out, {"targets": targets, "numpy": np}))
