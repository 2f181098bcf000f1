"""An activation function as a separate layer."""

from __future__ import annotations

from minidl.activations import Activation, get_activation
from minidl.backend import Array
from minidl.layers._base import Layer


class ActivationLayer(Layer):
    """y = f(z), z = x: for an f that does not follow a Dense, for example after BatchNorm.

    Backward: dx = dz = dy ∘ f'(z).

    Parameters
    ----------
    activation : a name of :data:`minidl.activations.ACTIVATIONS`, or an instance; softmax
        applies to the features of (N, K), and refuses images (N, C, H, W)
    """

    z: Array  # x by another name: the pre-activation of the last forward

    def __init__(self, activation: str | Activation) -> None:
        self.f = get_activation(activation)

    @property
    def activation(self) -> Activation:
        """f, the activation function."""
        return self.f

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        if len(input_shape) == 3 and not self.f.elementwise:
            raise self.misfit(
                "(N, K)",
                input_shape,
                "of images it would take the columns for classes: put Flatten or "
                "GlobalAveragePool2D before it",
            )
        return input_shape

    def forward(self, x: Array, training: bool = False) -> Array:
        self.x = self.z = x
        self.y = self.f(self.z)
        return self.y

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        return self.f.backward(dy, self.z, self.y) if input_gradient else None

    def __repr__(self) -> str:
        return f"ActivationLayer({self.f!r})"
