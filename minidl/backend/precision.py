"""How a GPU multiplies float32 matrices."""

from __future__ import annotations

import numpy as np

from minidl.backend.arrays import Device, DeviceError

PRECISIONS = ("float32", "tf32")


def set_precision(precision: str, device: Device) -> None:
    """Set how a GPU multiplies float32 matrices from now on, in the whole process.

    ``"float32"``, the default, or ``"tf32"``: tensor cores that round both
    factors to 10 bits after the binary point and add in float32.

    Raises
    ------
    ValueError
        for any other precision.
    DeviceError
        for ``"tf32"`` on a CPU or on a GPU older than Ampere.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision: expected one of {', '.join(PRECISIONS)}, got {precision!r}")
    tf32 = precision == "tf32"
    if not device.is_cuda:
        if tf32:
            raise DeviceError(
                f"precision tf32 is for GPUs, and the device is {device}; choose float32"
            )
        return
    capability = device.xp.cuda.Device().compute_capability
    if tf32 and int(capability) < 80:
        raise DeviceError(
            f"{device}: expected compute capability 8.0 (Ampere) or more for precision tf32, got "
            f"{int(capability) / 10}; choose float32"
        )
    from cupy._core import _routines_linalg as products

    wanted = products.COMPUTE_TYPE_TF32 if tf32 else products.COMPUTE_TYPE_DEFAULT
    products.set_compute_type(np.float32, wanted)
