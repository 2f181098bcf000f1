"""Devices by name: the CPU, or a GPU through CuPy."""

from __future__ import annotations

import re

from minidl.backend.arrays import CPU, Device
from minidl.backend.cuda import automatic, gpu


def get_device(device: str | Device = "auto") -> Device:
    """The device called ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:1"``.

    ``auto`` uses the first GPU if it works and otherwise the CPU; ``reason`` of the device says
    why.  If CuPy is installed, a line on standard error says so once.  An explicit
    ``cuda`` never falls back.

    Raises
    ------
    ValueError
        for any other name.
    DeviceError
        if the requested GPU is not available, with what to do.
    """
    if isinstance(device, Device):
        return device
    if device == "cpu":
        return CPU
    if device == "auto":
        return automatic()
    match = re.fullmatch(r"cuda(?::(\d+))?", device) if isinstance(device, str) else None
    if match is None:
        raise ValueError(
            f"device: expected 'auto', 'cpu', 'cuda' or 'cuda:<number>', got {device!r}"
        )
    return gpu(int(match.group(1) or 0), "asked for")
