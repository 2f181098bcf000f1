"""What an assignment to an attribute of a layer or a network means."""

from __future__ import annotations

from typing import Any

from minidl.backend import Array, checks
from minidl.initializers import Initializer, get_initializer

ALL_LEARN = "all parameters of a network learn"
RATE = "an optimizer has the learning_rate"


class Attributes:
    """Base of layers and networks: an assignment takes effect, or is refused.

    ``layer.W = w`` is ``layer.W[...] = w``, for a w of the same shape, type and device: a layer
    whose W is another array than that in θ would predict with it and never learn.  Names of other
    frameworks that nothing here reads are refused, unless a layer's author uses them, as
    attributes of the class or in ``__init__``.
    """

    is_built: bool = True  # whether the parameters exist
    _views: frozenset[str] = frozenset()  # attributes that are parts of vectors of parameters
    _foreign: dict[str, str] = {  # names that are refused, with the way out
        **dict.fromkeys(("trainable", "requires_grad", "frozen"), ALL_LEARN),
        **dict.fromkeys(("lr", "learning_rate"), RATE),
    }

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self._views:
            write(getattr(self, "name", "Network") or self, name, getattr(self, name), value)
        elif name in self._foreign and self.is_built and not hasattr(self, name):
            raise AttributeError(
                f"{self!r}: has no {name}, so nothing would read it; {self._foreign[name]}"
            )
        else:
            object.__setattr__(self, name, value)


class Initial:
    """An initializer of a layer, by name or as a function: an array is refused, it goes into W."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.key = f"_{name}"

    def __get__(self, layer: Any, kind: type | None = None) -> Any:
        return self if layer is None else getattr(layer, self.key)

    def __set__(self, layer: Any, value: str | Initializer) -> None:
        setattr(layer, self.key, get_initializer(value))


def write(owner: object, name: str, view: Array, value: Any) -> None:
    """``view[...] = value``; raises unless the value has the view's shape, type and device."""
    if value is view:  # as after W += …
        return
    checks.array(owner, name, value)
    if value.shape != view.shape:
        raise ValueError(
            f"{owner}: expected {name} {view.shape}, got {value.shape}; it is part of one vector "
            "of all parameters, so its shape is that of the layer"
        )
    checks.same_dtype_and_device(owner, name, value, view)
    view[...] = value
