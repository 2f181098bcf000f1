"""The activation functions of the engine, and what is published about them."""

from studies.activation_gallery.study import STUDY

__all__ = ["STUDY"]
