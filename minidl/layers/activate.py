"""An activation function as a layer of its own."""

from __future__ import annotations

from minidl import checks
from minidl.activations import Activation, get_activation
from minidl.backend import Array
from minidl.layers.base import Layer
from minidl.layers.images import buffer_like


class Activate(Layer):
    """y = f(z), z = x: where f does not follow a Dense, say after BatchNorm or Residual.

    Backward: dx = dz = dy ∘ f'(z).

    Parameters
    ----------
    activation : a name of :data:`minidl.activations.ACTIVATIONS`, or an instance; softmax
        is over the features of (N, K), and images (N, C, H, W) are refused
    """

    z: Array  # x by another name: the pre-activation of the last forward

    def __init__(self, activation: str | Activation) -> None:
        self.activation = get_activation(activation)

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        self._expect_shape(("N", *input_shape))
        return input_shape

    def forward(self, x: Array, training: bool = False) -> Array:
        checks.floats(self, "x", x)
        self._expect_shape(x.shape)
        self.x = self.z = x
        self.y = self.activation(x, out=buffer_like(self, "y", x))
        return self.y

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        self._expect_dy(dy)
        if not input_gradient:
            return None
        dz = buffer_like(self, "dz", dy)
        return self.activation.backward(dy, self.z, self.y, out=dz)

    def _expect_shape(self, shape: tuple[int | str, ...]) -> None:
        """Raise ``ValueError`` for images, whose last axis are columns, if f is over that axis."""
        if len(shape) == 4 and not self.activation.elementwise:
            raise ValueError(
                f"{self!r}: expected input (N, K), got images ({', '.join(map(str, shape))}), of "
                "which it would take the columns for classes; put Flatten or GlobalAveragePool2D "
                "before it"
            )

    def __repr__(self) -> str:
        return f"Activate({self.activation!r})"
