"""Devices, arrays, threads: with ``gpu/``, the only place that asks where something runs."""

from minidl.backend.arrays import (
    CPU,
    IN_CACHE,
    Array,
    Device,
    DeviceError,
    address,
    is_array,
    namespace,
    special,
    to_numpy,
)
from minidl.backend.device import get_device
from minidl.backend.precision import PRECISIONS, set_precision
from minidl.backend.random import Random

__all__ = [
    "CPU",
    "IN_CACHE",
    "PRECISIONS",
    "Array",
    "Device",
    "DeviceError",
    "Random",
    "address",
    "get_device",
    "is_array",
    "namespace",
    "set_precision",
    "special",
    "to_numpy",
]
