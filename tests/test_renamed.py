"""Documented names of version 0.2 work once more, with a warning that says the new ones."""

import warnings

import numpy as np
import pytest

import minidl
from minidl._deprecated import RENAMED
from minidl.layers import Layer
from minidl.losses import Loss
from minidl.network import Network
from minidl.training import Checkpoint


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


def test_a_checkpoint_may_keep_and_have_parts_once_more(tmp_path):
    checkpoint = Checkpoint(tmp_path / "a")
    with pytest.warns(DeprecationWarning, match=r"Checkpoint\.keep is track now"):
        assert checkpoint.keep("history", [1.0]) == [1.0]
    with pytest.warns(DeprecationWarning, match=r"Checkpoint\.part is child now"):
        assert checkpoint.part("b").path == checkpoint.child("c").path.with_name("a.b")


def test_a_layer_of_ones_own_may_have_the_old_names():
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")

        class Half(Layer):
            takes_integers = True

            def expect_values(self, x):
                raise ValueError("odd tokens")

            def expect_shape(self, shape):
                assert shape == ("N", 3)

            def forward(self, x, training=False):
                self.x, self.y = x, x / 2
                return self.y

    assert [str(one.message).partition(" now")[0] for one in told] == [
        "Half.takes_integers is integer_input",
        "Half.expect_values is check_tokens",
        "Half.expect_shape is part of output_shape",
    ]
    assert {one.filename for one in told} == {__file__}
    network = Network([Half()], (3,))
    with pytest.raises(ValueError, match="odd tokens"):
        network.forward(np.ones((2, 3), int))
    with pytest.raises(AssertionError):
        Network([Half()], (4,))
