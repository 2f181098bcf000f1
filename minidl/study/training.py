"""Training within a study: on one process, or on all that ``mpiexec`` has started."""

from __future__ import annotations

from typing import Any

from minidl import data_parallel, gpu
from minidl.training.loop import Training


def train(*parts: Any, graph: bool = True, **options: Any) -> Training:
    """:func:`minidl.train`, where several processes share each batch."""
    if data_parallel.world().size > 1:
        return data_parallel.train(*parts, **options)
    return gpu.train(*parts, graph=graph, **options)
