"""What an assignment to an attribute of a layer or a network may mean."""

from __future__ import annotations

from typing import Any

from minidl.backend import Array, checks
from minidl.initializers import Initializer, get_initializer

ALL_LEARN = "all parameters of a network learn"
RATE = "an optimizer has the learning_rate"
FOREIGN = {  # attributes of other frameworks, which nothing here would read, with the way out
    **dict.fromkeys(("trainable", "requires_grad", "frozen"), ALL_LEARN),
    **dict.fromkeys(("lr", "learning_rate"), RATE),
}


def write_into(owner: object, name: str, view: Array, value: Any) -> None:
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


class Initial:
    """An initializer of a layer, by name or as a function: an array is refused, it goes into W."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.key = f"_{name}"

    def __get__(self, layer: Any, kind: type | None = None) -> Any:
        return self if layer is None else getattr(layer, self.key)

    def __set__(self, layer: Any, value: str | Initializer) -> None:
        setattr(layer, self.key, get_initializer(value))
