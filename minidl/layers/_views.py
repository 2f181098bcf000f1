"""Attributes that are views into a flat vector: what is assigned to one is written into it."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

from minidl.backend import Array, checks
from minidl.initializers import Initializer, get_initializer


class View(property):
    """The attribute ``name`` of a class of layers, for those in which it is such a view.

    ``layer.W = w`` is then ``layer.W[...] = w``, for a w of the same shape, type and device: a
    layer whose W is another array than that in θ would predict with it and never learn.  It is
    read as fast as any attribute that is not a plain one.
    """

    def __init__(self, name: str) -> None:
        key = _key(name)

        def put(layer: Any, value: Any) -> None:
            if name in layer._views:
                write(layer.name or layer, name, getattr(layer, key), value)
            else:
                setattr(layer, key, value)

        super().__init__(attrgetter(key), put)
        self.name = name

    def __reduce__(self) -> tuple[type[View], tuple[str]]:
        """A class that is pickled by value, such as one in a script, may have some."""
        return View, (self.name,)


class Foreign:
    """An attribute that other frameworks read and nothing here does: setting it is refused.

    A layer's author may use the name: as an attribute of the class, or set in ``__init__``.
    """

    def __init__(self, hint: str) -> None:
        self.hint = hint

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, owner: Any, kind: type | None = None) -> Any:
        if owner is not None and self.name in vars(owner):
            return vars(owner)[self.name]
        raise AttributeError(f"{kind and kind.__name__}: has no {self.name}; {self.hint}")

    def __set__(self, owner: Any, value: Any) -> None:
        if owner.is_built and self.name not in vars(owner):
            raise AttributeError(
                f"{owner!r}: has no {self.name}, so nothing would read it; {self.hint}"
            )
        vars(owner)[self.name] = value


class Initial:
    """An initializer of a layer, by name or as a function: an array is refused, it goes into W."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.key = f"_{name}"

    def __get__(self, layer: Any, kind: type | None = None) -> Any:
        return self if layer is None else getattr(layer, self.key)

    def __set__(self, layer: Any, value: str | Initializer) -> None:
        setattr(layer, self.key, get_initializer(value))


ALL_LEARN = "all parameters of a network learn"
RATE = "an optimizer has the learning_rate"


class NoForeignNames:
    """Base of layers and networks: names that mean something in other frameworks are refused."""

    is_built: bool = True  # whether the parameters exist

    trainable = Foreign(ALL_LEARN)
    requires_grad = Foreign(ALL_LEARN)
    frozen = Foreign(ALL_LEARN)
    lr = Foreign(RATE)
    learning_rate = Foreign(RATE)


def set_view(layer: Any, name: str, view: Array) -> None:
    """Make ``layer.<name>`` the array ``view``, whatever it was before."""
    expect_view(type(layer), name)
    if isinstance(getattr(type(layer), name), View):
        setattr(layer, _key(name), view)
    else:  # a property of the author's own
        setattr(layer, name, view)


def expect_view(kind: type, name: str) -> None:
    """Let ``kind`` have ``name`` as a :class:`View`; a default that it has stays one."""
    default = getattr(kind, name, None)
    if not isinstance(default, property):
        if hasattr(kind, name):
            setattr(kind, _key(name), default)
        setattr(kind, name, View(name))


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
    checks.like(owner, name, value, view)
    view[...] = value


def _key(name: str) -> str:
    return f"{name} of a built layer"  # what an AttributeError of one that is not built says
