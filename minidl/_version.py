"""The version of the installation, which is that of the tag it was made from."""

from __future__ import annotations


def installed() -> str:
    """Looked up when asked for, since ``importlib.metadata`` is slow to load."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("minidl")
    except PackageNotFoundError:
        return "0+unknown"  # a clone, not installed
