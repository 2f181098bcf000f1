"""Documented names of version 0.2 work once more, with a warning that says the new ones."""

import warnings

import numpy as np
import pytest

import minidl
from minidl._deprecated import RENAMED
from minidl.losses import Loss


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_an_old_name_is_the_new_class(old, new):
    with pytest.warns(DeprecationWarning, match=rf"minidl\.{old} is minidl\.{new} now"):
        assert getattr(minidl, old) is getattr(minidl, new)


def test_a_loss_of_ones_own_may_have_the_old_names():
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")

        class Absolute(Loss):
            applies = "softmax"

            def each(self, z, t):
                return abs(z - t).mean(axis=1), np.sign(z - t)

            def hits(self, logits, targets):
                return np.ones(len(logits))

    assert len(told) == 3
    assert "Absolute.each is per_example now" in str(told[0].message)
    loss = Absolute()
    assert loss(np.full((2, 3), 4.0), np.ones((2, 3)))[0] == 3
    assert loss.correct(np.ones((2, 3)), None).tolist() == [1, 1]
    assert loss.output_activation == "softmax"


def test_a_name_that_never_existed_is_not_found():
    with pytest.raises(AttributeError, match="no attribute 'Dence'"):
        minidl.Dence  # noqa: B018
