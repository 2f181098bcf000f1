"""What Dense and Conv2D share: parameters, their initial values, and the activation function."""

from __future__ import annotations

import numpy as np

from minidl.activations import Activation, get_activation
from minidl.backend import Array, namespace
from minidl.initializers import Initializer
from minidl.layers._attributes import Initial
from minidl.layers._base import Layer


class Affine(Layer):
    """y = f(z), where z is linear in x and in W, plus b if there is one.  Base of Dense and Conv2D.

    ``connections`` are n_in and n_out of the initializers: how many numbers of x
    go into one number of z, and into how many numbers of z one number of x goes.
    """

    W: Array
    b: Array
    dW: Array
    db: Array
    weights, biases = Initial(), Initial()
    _foreign = Layer._foreign | dict.fromkeys(
        ("weight", "bias", "kernel"), "its parameters are W and b"
    )
    z: Array  # pre-activation of the last forward
    dz: Array  # its gradient in the last backward

    def __init__(
        self,
        connections: tuple[int, int],
        activation: str | Activation,
        weights: str | Initializer,
        biases: str | Initializer,
    ) -> None:
        self.connections = connections
        self.f = get_activation(activation)
        self.weights, self.biases = weights, biases

    def initialize(self, rng: np.random.Generator) -> None:
        drawn_by = {"W": ("weights", self.weights), "b": ("biases", self.biases)}
        for key, array in self.parameters().items():
            name, drawn = drawn_by[key]
            values = np.asarray(drawn(rng, array.shape, *self.connections))
            if values.shape != array.shape or values.dtype.kind not in "iuf":
                raise ValueError(
                    f"{self!r}: expected {name} to draw numbers {array.shape}, "
                    f"got {values.dtype} {values.shape}"
                )
            array[...] = namespace(array).asarray(values)

    @property
    def activation(self) -> Activation:
        """f, the activation function."""
        return self.f
