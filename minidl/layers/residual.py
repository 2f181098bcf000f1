"""A residual block: what a branch of layers adds to its input."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minidl.activations import Activation, get_activation
from minidl.backend import Array
from minidl.layers._base import Layer
from minidl.layers.sequential import Layers, Sequential


class Residual(Layer):
    """y = f(z),  z = F(x) + S(x), with the branch F and the shortcut S.

    Backward: the sum hands dz = dy ∘ f'(z) to both, and each returns its part of the
    gradient of x: dx = dx_F + dx_S.  If S is the identity, dx_S is dz.
    Source: He et al., Deep Residual Learning, CVPR 2016, equations 1 and 2.

    The inner layers are those of ``block.branch`` and ``block.shortcut``; in a network
    they are named ``residual_1.branch.dense_1`` and so on.  If the branch is a mapping,
    they are named like the block's own: ``residual_1.conv`` for ``Residual({"conv": …})``.

    Parameters
    ----------
    branch : the layers of F, first to last, as a list or as a mapping from names to layers
    shortcut : the layers of S, in the same form; the identity by default
    activation : a name of :data:`minidl.activations.ACTIVATIONS`, or an instance;
        element-wise
    """

    z: Array  # F(x) + S(x) of the last forward
    dz: Array  # its gradient in the last backward

    def __init__(
        self,
        branch: Layers,
        shortcut: Layers | None = None,
        activation: str | Activation = "linear",
    ) -> None:
        self.f = get_activation(activation)
        if not self.f.elementwise:
            raise ValueError(
                f"Residual: expected an element-wise activation, got {self.f!r}; "
                "put it into a Dense layer"
            )
        self.branch = Sequential(branch)
        self.branch.name = "branch"
        self.branch.flat_names = isinstance(branch, Mapping)
        self.shortcut: Sequential | None = None
        self.layers = [self.branch]
        if shortcut is not None:
            self.shortcut = Sequential(shortcut)
            self.shortcut.name = "shortcut"
            self.layers.append(self.shortcut)

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        F = self.branch.output_shape(input_shape)
        S = input_shape if self.shortcut is None else self.shortcut.output_shape(input_shape)
        self._expect_same(F, S)
        return F

    def forward(self, x: Array, training: bool = False) -> Array:
        self.x = x
        F = self.branch.forward(x, training)
        S = x if self.shortcut is None else self.shortcut.forward(x, training)
        self.z = F + S
        self.y = self.f(self.z)
        return self.y

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        self.dz = self.f.backward(dy, self.z, self.y)  # dy ∘ f'(z)
        dF: Any = self.branch.backward(self.dz, input_gradient)
        dS = self.dz if self.shortcut is None else self.shortcut.backward(self.dz, input_gradient)
        return dF + dS if input_gradient else None

    @property
    def activation(self) -> Activation:
        """f, the activation function."""
        return self.f

    def _expect_same(self, F: tuple[int, ...], S: tuple[int, ...]) -> None:
        if F != S:
            shapes = [str(("N", *shape)).replace("'", "") for shape in (F, S)]
            raise ValueError(
                f"{self!r}: expected the same shape from branch and shortcut, got {shapes[0]} and "
                f"{shapes[1]}; let the last layer of the branch give what its input has, or give "
                "the shortcut layers of its own"
            )

    def __repr__(self) -> str:
        branch, shortcut = (
            "identity" if row is None else f"{len(row.layers)} layer{'s' * (len(row.layers) > 1)}"
            for row in (self.branch, self.shortcut)
        )
        f = "" if self.f.name == "linear" else f", {self.f!r}"
        return f"Residual({branch} + {shortcut}{f})"
