"""Shared by all tests: the devices, and Hypothesis settings that always draw the same examples."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
from collections.abc import Iterator
from typing import Any

# Small products on several threads wait for each other, long on a busy machine; tests of threads
# set their own number.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import hypothesis
import pytest

from minidl import DeviceError, get_device
from minidl.backend import Device

hypothesis.settings.register_profile(
    "minidl", deadline=None, derandomize=True, database=None, max_examples=50
)
hypothesis.settings.load_profile("minidl")


def _has_gpu() -> bool:
    if importlib.util.find_spec("cupy") is None:
        return False
    try:
        get_device("cuda")
    except DeviceError:
        return False
    return True


# The pretended GPU runs the kernels' text, compiled by the machine's C++ compiler.
PRETENDED = ["pretended cuda"] if shutil.which("c++") or shutil.which("g++") else []
CUDA = ["cuda"] if _has_gpu() else []


def _device(name: str, monkeypatch: pytest.MonkeyPatch) -> Device:
    if name == "pretended cuda":
        import pretended_cupy

        pretended_cupy.install(monkeypatch)
        name = "cuda"
    return get_device(name)


@pytest.fixture(params=["cpu", *PRETENDED, *CUDA])
def device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Device:
    """Every device in turn that is present."""
    return _device(request.param, monkeypatch)


@pytest.fixture(params=["cpu", *CUDA])
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Device:
    """The devices that differ in their arithmetic, for the long tables."""
    return _device(request.param, monkeypatch)


@pytest.fixture(params=[*PRETENDED, *CUDA])
def gpu(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Device:
    """The devices whose kernels and graphs are compared with the CPU."""
    return _device(request.param, monkeypatch)


class FullDisk:
    """A context in which the kernel lets no file grow beyond 4 KiB."""

    def __enter__(self) -> None:
        import resource

        self.kept = resource.getrlimit(resource.RLIMIT_FSIZE)
        # an error instead of being killed
        self.handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, self.kept[1]))

    def __exit__(self, *error: object) -> None:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, self.kept)
        signal.signal(signal.SIGXFSZ, self.handler)


@pytest.fixture
def full_disk() -> FullDisk:
    pytest.importorskip("resource", reason="limits the size of files, which Windows cannot")
    return FullDisk()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """One browser for all tests; without one, skip and say how to install it."""
    import browser

    reason = browser.missing()
    if reason is not None:
        pytest.skip(reason)
    with browser.chromium() as started:
        yield started


@pytest.fixture
def watch(chromium: Any) -> Iterator[Any]:
    """Opens pages, which must have reported no error and sent no request by the end."""
    import browser

    watch = browser.Watch(chromium)
    yield watch
    watch.close()
    assert watch.complaints == []
    assert watch.requests == []
